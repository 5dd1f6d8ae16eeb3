"""When the log took a comment: many asked at once, and never a wrong time."""

import asyncio
import uuid

import pytest

from infra.jetstream.moments import BATCH, Moments
from schemas import subjects
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.waits import eventually

pytestmark = pytest.mark.nats


async def _posted(b: Broker, stream_id: str) -> int:
    return (await b.publisher.publish(subjects.live(0, stream_id), b"{}", uuid.uuid4().hex)).seq


@pytest.fixture(name="patient")
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's time is left out because other tests have the cores."""
    monkeypatch.setattr("infra.jetstream.moments.WAIT_S", 5.0)


async def test_each_message_has_its_own_time(nats_server: NatsServer, patient: None) -> None:
    """Two streams' messages mixed, some missing, asked in any order and twice: what a reader finds at each sequence."""
    async with broker(nats_server.url) as b:
        mine, other = fresh_stream(), fresh_stream()
        seqs = list(await asyncio.gather(*(_posted(b, mine if n % 7 else other) for n in range(2 * BATCH))))
        moments, subject = Moments(b.connection), subjects.live(0, mine)
        asked = [seq for n, seq in enumerate(seqs) if n % 7 and n % 11]
        asked += asked[:5]
        found = await asyncio.gather(*(moments.at_ms("LIVE_0", subject, seq) for seq in reversed(asked)))
        truth = {message.seq: message.at_ms for message in await b.reader.range("LIVE_0", subject, min(asked) - 1, max(asked))}

        assert [truth[seq] for seq in reversed(asked)] == found


async def test_what_cannot_be_known_is_not_guessed(nats_server: NatsServer, patient: None) -> None:
    """Beyond the end, and deleted in the middle of a run: nothing, while its neighbours have their times."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        seqs = [await _posted(b, stream_id) for _ in range(6)]
        await b.connection.request("$JS.API.STREAM.MSG.DELETE.LIVE_0", b'{"seq": %d}' % seqs[2])
        moments, subject = Moments(b.connection), subjects.live(0, stream_id)
        found = await asyncio.gather(*(moments.at_ms("LIVE_0", subject, seq) for seq in [*seqs, seqs[-1] + 1000]))

        assert [True, True, False, True, True, True, False] == [each is not None for each in found]


async def test_nobody_waits_for_a_broker_that_is_away(own_nats_server: NatsServer) -> None:
    """A comment is durable already: its answer does not hang on its time. The next one is known again."""
    async with broker(own_nats_server.url) as b:
        stream_id = fresh_stream()
        moments, subject = Moments(b.connection), subjects.live(0, stream_id)
        seq = await _posted(b, stream_id)
        own_nats_server.pause()
        async with asyncio.timeout(20):
            assert [None, None] == list(await asyncio.gather(*(moments.at_ms("LIVE_0", subject, seq) for _ in range(2))))
        own_nats_server.kill()
        await eventually(lambda: not b.connection.up.is_set())
        assert await moments.at_ms("LIVE_0", subject, seq) is None
        own_nats_server.start()
        await eventually(b.connection.up.is_set)

        async def known() -> bool:
            return await moments.at_ms("LIVE_0", subject, seq) is not None

        await eventually(known)
