"""What the feed lost while the log could not be read: it comes as soon as it can, and meanwhile nobody waits in silence."""

import asyncio
from pathlib import Path

import pytest

from gateway.fanout.follower import MOST_PENDING, PIECE, TURN
from gateway.fanout.windower import Windower
from gateway.history import History
from gateway.removals import Removals
from gateway.shown import Shown
from infra.errors import Unavailable
from infra.jetstream.connection import Connection
from infra.jetstream.reader import LogMessage, Reader
from schemas.records import StreamRecord
from tests.backends.nats import NatsServer
from tests.factories import comment
from tests.hubs import gateway
from tests.slowfeed import SlowFeed
from tests.turns import Turns
from tests.waits import eventually

pytestmark = pytest.mark.nats

#: The checks of 2 s tell a tail once, the one of 30 s once more: what waited for that comes later than this.
SOON_S = 10.0


class PartlyDeaf(Reader):
    """Tails can be asked for, and while `away` no range can be read."""

    away = False
    tries = 0

    async def range(self, log: str, subject: str, after: int, until: int, limit: int = 1_000_000) -> list[LogMessage]:
        """As the reader's own.

        Raises:
            Unavailable: it is away.
        """
        if self.away:
            self.tries += 1
            msg = "the log does not answer"
            raise Unavailable(msg)
        return await super().range(log, subject, after, until, limit)


class Measured(Reader):
    """Keeps how many messages each read of a range gave."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.pieces: list[int] = []

    async def range(self, log: str, subject: str, after: int, until: int, limit: int = 1_000_000) -> list[LogMessage]:
        """As the reader's own."""
        found = await super().range(log, subject, after, until, limit)
        self.pieces.append(len(found))
        return found


async def test_a_repair_that_fails_is_tried_again(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often: nothing follows on the feed, no check tells a tail twice, and it comes once the log can be read."""
    feed = SlowFeed(monkeypatch)
    async with gateway(nats_server.url, tmp_path, reads=PartlyDeaf) as g:
        reader = g.broker.reader
        assert isinstance(reader, PartlyDeaf)
        viewer = await g.viewer(backfill=0).open()
        seqs = [await g.say(comment(1))]
        await viewer.until(lambda v: v.seqs == seqs)
        feed.holds = reader.away = True
        seqs.append(await g.say(comment(2)))
        await eventually(lambda: reader.tries >= 3, timeout=SOON_S)
        reader.away = False
        await viewer.until(lambda v: v.seqs == seqs, timeout_s=SOON_S)

        assert viewer.faults == []


async def test_who_comes_while_the_log_cannot_be_read_is_greeted(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the gateway has; what it could not read is news to them when it can be, and the chain is whole."""
    feed = SlowFeed(monkeypatch)
    async with gateway(nats_server.url, tmp_path, reads=PartlyDeaf) as g:
        reader = g.broker.reader
        assert isinstance(reader, PartlyDeaf)
        first = await g.say(comment(1))
        early = await g.viewer(backfill=0).open()
        feed.holds = reader.away = True
        second = await g.say(comment(2))
        late = [await g.viewer(backfill=0).open() for _ in range(2)]
        assert [viewer.last_id for viewer in late] == [first, first]
        reader.away = False
        for viewer in (early, *late):
            await viewer.until(lambda v: v.seqs == [second])
            assert viewer.faults == []


async def test_who_waits_for_the_first_delivery_is_not_left_in_silence(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads come although a store does not answer, also to those who come meanwhile; heartbeats follow, then the delivery."""
    answers = asyncio.Event()
    newest = History.newest

    async def slow(
        history: History, record: StreamRecord, until: int, limit: int, removals: Removals
    ) -> tuple[list[Shown], int]:
        await answers.wait()
        return await newest(history, record, until, limit, removals)

    monkeypatch.setattr(History, "newest", slow)
    monkeypatch.setattr("gateway.fanout.greeting.HEAD_S", 0.02)
    monkeypatch.setattr("gateway.fanout.greeting.HEARTBEAT_S", 0.02)
    async with gateway(nats_server.url, tmp_path) as g:
        said = await g.say(comment(1))
        viewers = [g.viewer() for _ in range(3)]
        opening = [asyncio.create_task(viewer.open()) for viewer in viewers]
        await eventually(lambda: all(viewer.status == 200 and viewer.heartbeats >= 2 for viewer in viewers))
        viewers.append(g.viewer(gzip=True))
        opening.append(asyncio.create_task(viewers[-1].open()))
        await eventually(lambda: viewers[-1].status == 200 and viewers[-1].heartbeats >= 2)
        assert [viewer.events for viewer in viewers] == [[]] * 4
        answers.set()
        await asyncio.gather(*opening)
        for viewer in viewers:
            assert (viewer.seqs, viewer.faults) == ([said], [])


async def test_a_long_cut_is_read_in_pieces(nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the feed goes on: everything in order, little of it held, and the loop never long with it."""
    feed, turns, held = SlowFeed(monkeypatch), Turns(), [0]
    fill = Windower.fill

    def noted(windower: Windower, messages: list[LogMessage], until: int) -> None:
        turns.note("fill", len(messages))
        fill(windower, messages, until)
        held.append(windower.pending)

    monkeypatch.setattr(Windower, "fill", noted)
    # Windows of a few items: flushing takes longer than reading.
    monkeypatch.setattr("gateway.fanout.windower.MOST_BYTES", 2000)
    async with gateway(nats_server.url, tmp_path, reads=Measured) as g:
        reader = g.broker.reader
        assert isinstance(reader, Measured)
        viewer = await g.viewer(backfill=0).open()
        feed.holds = True
        lost = await asyncio.gather(*(g.say(comment(n)) for n in range(1, 6 * PIECE)))
        feed.holds = False
        going_on = [await g.say(comment(n)) for n in range(6 * PIECE, 6 * PIECE + 300)]
        await viewer.until(lambda v: v.seqs[-1:] == going_on[-1:])

        assert viewer.seqs == sorted([*lost, *going_on])
        assert viewer.faults == []
        assert len(reader.pieces) > 5
        assert max(reader.pieces) <= PIECE
        assert max(turns.done.values()) <= TURN
        assert max(held) <= MOST_PENDING + PIECE
