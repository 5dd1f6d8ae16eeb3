"""The hub against a real broker and a real store: replay meets live under load, losses are repaired, removals hold."""

import asyncio
import random
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.fanout.viewer import Viewer as Served
from gateway.fanout.windower import MOST_BYTES
from infra.environment import load
from infra.jetstream.publisher import PubAck
from infra.telemetry import metrics
from schemas import codec, subjects
from tests.backends.nats import NatsServer
from tests.broker import broker, fresh_stream
from tests.factories import comment, removed
from tests.hubs import Gateway, gateway
from tests.viewer import Viewer
from tests.waits import eventually

pytestmark = pytest.mark.nats

#: The promise is 3 s. Who is not told at once finds a lost comment when all tails are looked at, every 30 s.
TOLD_S = 10.0


@pytest.mark.parametrize("seed", range(4))
async def test_the_cut_over_loses_and_reorders_nothing(nats_server: NatsServer, tmp_path: Path, seed: int) -> None:
    """Viewers join and resume at random positions while a stream is posted to: each has an unbroken run of the log."""
    chance = random.Random(seed)
    # A small ring: some resume from it, some from the log, some from the seam between the two.
    settings = load({"OVATION_RING_BYTES": str(chance.choice([0, 3_000, 30_000, 4_000_000])), "OVATION_WINDOW_MS": "5"})
    async with gateway(nats_server.url, tmp_path, settings=settings) as g:
        seqs: list[int] = []
        viewers: list[tuple[int, Viewer]] = []

        async def post() -> None:
            for n in range(600):
                seq = await g.say(comment(n + 1))
                seqs.append(seq)

        async def come() -> None:
            while len(seqs) < 590:
                known = len(seqs)
                await eventually(lambda: len(seqs) > known + 10 or len(seqs) >= 590)  # noqa: B023 - awaited here
                start = chance.randrange(len(seqs))
                viewer = await g.viewer(last_id=seqs[start], gzip=chance.random() < 0.5).open()
                viewers.append((start, viewer))

        await asyncio.gather(post(), come())
        for start, viewer in viewers:
            await viewer.until(lambda v: v.last_id == seqs[-1])

            assert viewer.faults == []
            assert viewer.gaps == []
            assert seqs[start + 1 :] == viewer.seqs


@pytest.mark.parametrize(("what", "last_id"), [("newest", None), ("state", 1), ("range", -1)])
async def test_nobody_is_left_in_silence_by_a_fault(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, last_id: int | None
) -> None:
    """Whatever breaks while a viewer is brought forward, it is sent away, with a time to come back, and comes back well."""

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    async with gateway(nats_server.url, tmp_path, settings=load({"OVATION_RING_BYTES": "0"})) as g:
        first, second = await g.say(comment(1)), await g.say(comment(2))
        witness = await g.viewer().open()
        viewer = g.viewer(last_id=first if last_id == -1 else last_id)
        with monkeypatch.context() as fault:
            fault.setattr(f"gateway.history.History.{what}", broken)
            await viewer.open()
            await viewer.ended()
        assert viewer.retry is not None
        await viewer.open()
        await viewer.until(lambda v: v.seqs[-1:] == [second])
        assert [witness.seqs, witness.faults, viewer.faults] == [[first, second], [], []]


async def test_a_resume_inside_a_window_gets_its_rest(nats_server: NatsServer, tmp_path: Path) -> None:
    """Another gateway cut its windows elsewhere: a position inside ours is served from there on."""
    settings = load({"OVATION_WINDOW_MS": "500"})
    async with gateway(nats_server.url, tmp_path, settings=settings) as g:
        watching = await g.viewer(backfill=0).open()
        await watching.until(lambda v: v.events)
        seqs = [await g.say(comment(n + 1)) for n in range(10)]
        await watching.until(lambda v: len(v.items) == 10)
        resumed = await g.viewer(last_id=seqs[4]).open()
        await resumed.until(lambda v: len(v.items) == 5)

        assert len([e for e in watching.events if e.name == "comments"]) < 8
        assert seqs[5:] == resumed.seqs
        assert resumed.faults == []


async def test_a_position_of_another_stream_is_reached(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the stream's tail and not above the log's: no gap, heartbeats until it is reached, then the chain."""
    async with gateway(nats_server.url, tmp_path) as g:
        await g.say(comment(1))
        other = subjects.live(0, fresh_stream())
        elsewhere = (await g.broker.publisher.publish(other, codec.encode(comment(2)), uuid.uuid4().hex)).seq
        early = await g.viewer(backfill=0).open()
        await early.until(lambda v: v.events)
        audience = g.hub.audience(g.record.stream_id)
        assert audience is not None
        expected: list[int] = []
        monkeypatch.setattr("gateway.fanout.catchup.HEARTBEAT_S", 0.05)
        with monkeypatch.context() as held:
            # A repair that takes its time.
            held.setattr(type(audience.follower), "expect", lambda _, tail: expected.append(tail))
            viewer = await g.viewer(last_id=elsewhere).open()
            await viewer.until(lambda v: v.heartbeats >= 2)
        audience.follower.expect(elsewhere)
        await early.until(lambda v: v.last_id == elsewhere)
        seq = await g.say(comment(3))
        await viewer.until(lambda v: v.seqs == [seq])

        assert elsewhere in expected
        assert viewer.faults == early.faults == []


async def test_a_removal_reaches_the_ring(nats_server: NatsServer, tmp_path: Path) -> None:
    """A resume from the ring after a removal shows the placeholder in the comment's own place."""
    async with gateway(nats_server.url, tmp_path) as g:
        watching = await g.viewer(backfill=0).open()
        await watching.until(lambda v: v.events)
        first = await g.say(comment(1))
        secret = await g.say(comment(2, text="secret"))
        await watching.until(lambda v: len(v.items) == 2)
        await g.say(removed(2))
        await watching.until(lambda v: len(v.items) == 3)
        resumed = await g.viewer(last_id=first).open()
        await resumed.until(lambda v: len(v.items) == 2)

        assert [("removed", secret), "removed"] == [
            (resumed.items[0]["type"], resumed.seqs[0]),
            resumed.items[1]["type"],
        ]
        assert "secret" not in str(resumed.events)


async def test_a_lost_last_message_arrives(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Posted by others while this gateway's link was cut, with no successor: there soon after the link's return."""
    from tests.faults import FaultProxy  # noqa: PLC0415

    async with FaultProxy.before(own_nats_server.port) as proxy, broker(own_nats_server.url) as other:
        async with gateway(f"nats://127.0.0.1:{proxy.port}", tmp_path) as g:
            watching = await g.viewer(backfill=0).open()
            await watching.until(lambda v: v.events)
            proxy.cut()
            await eventually(lambda: not g.broker.connection.up.is_set())
            subject = subjects.live(0, g.record.stream_id)
            ack = await other.publisher.publish(subject, codec.encode(comment(1)), "last")
            proxy.heal()
            await eventually(g.broker.connection.up.is_set)
            await watching.until(lambda v: v.seqs == [ack.seq], timeout_s=TOLD_S)

            assert watching.faults == []


async def test_a_slow_viewer_costs_nobody_and_is_made_whole(nats_server: NatsServer, tmp_path: Path) -> None:
    """One viewer stops reading: the others go on; when it reads again it has everything, chain intact."""
    settings = load({"OVATION_WINDOW_MS": "5"})
    async with gateway(nats_server.url, tmp_path, settings=settings) as g:
        brisk = await g.viewer(backfill=0).open()
        slow = await g.viewer(backfill=0).open()
        await brisk.until(lambda v: v.events)
        await slow.until(lambda v: v.events)
        slow.pause()
        count = 4000
        for start in range(0, count, 100):
            await asyncio.gather(*(g.say(comment(start + n + 1, text="x" * 450)) for n in range(100)))
        await brisk.until(lambda v: len(v.items) == count)
        slow.resume()
        await slow.until(lambda v: len(v.items) == count)

        assert [] == slow.faults == brisk.faults
        assert brisk.seqs == slow.seqs


async def test_a_full_gateway_says_so(nats_server: NatsServer, tmp_path: Path) -> None:
    """Past its bound a gateway refuses to admit."""
    from gateway.fanout.hub import Busy  # noqa: PLC0415

    async with gateway(nats_server.url, tmp_path, settings=load({"OVATION_MAX_VIEWERS": "1"})) as g:
        first = await g.viewer(backfill=0).open()
        await first.until(lambda v: v.events)
        await eventually(lambda: g.hub.viewers == 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(g.url).port)
        served = Served(writer.transport)  # type: ignore[arg-type]  # a stream's transport is one
        with pytest.raises(Busy):
            await g.hub.admit(served, g.record)
        writer.close()
        await writer.wait_closed()
        assert reader is not None


async def test_a_cold_ring_is_filled_once_for_a_storm(nats_server: NatsServer, tmp_path: Path) -> None:
    """Two hundred viewers at two hundred positions come to a gateway that has seen nothing: all whole, a handful of reads."""
    async with gateway(nats_server.url, tmp_path) as g:
        seqs = [await g.say(comment(n + 1)) for n in range(600)]
        before = _reads()
        viewers = [g.viewer(last_id=seqs[2 * n], gzip=n % 2 == 0) for n in range(200)]
        await asyncio.gather(*(viewer.open() for viewer in viewers))
        for viewer in viewers:
            await viewer.until(lambda v: v.last_id == seqs[-1])

        assert [viewer.faults + viewer.gaps for viewer in viewers] == [[]] * 200
        assert [len(viewer.seqs) for viewer in viewers] == [599 - 2 * n for n in range(200)]
        assert _reads() - before < 30


async def test_those_far_behind_are_read_for_as_well(nats_server: NatsServer, tmp_path: Path) -> None:
    """Several reads behind, from several positions at once, with a ring that holds nothing: everyone gets everything once."""
    async with gateway(nats_server.url, tmp_path, settings=load({"OVATION_RING_BYTES": "0"})) as g:
        seqs = [ack.seq for start in range(0, 2500, 100) for ack in await _say_many(g, start, 100)]
        viewers = [g.viewer(last_id=seqs[n]) for n in (0, 1, 700, 1500, 2400)]
        await asyncio.gather(*(viewer.open() for viewer in viewers))
        for viewer in viewers:
            await viewer.until(lambda v: v.last_id == seqs[-1])

        assert [viewer.faults + viewer.gaps for viewer in viewers] == [[]] * 5
        assert [len(viewer.seqs) for viewer in viewers] == [2499, 2498, 1799, 999, 99]


async def _say_many(g: Gateway, start: int, count: int) -> list[PubAck]:
    subject = subjects.live(0, g.record.stream_id)
    posts = (g.broker.publisher.publish(subject, codec.encode(comment(start + n)), uuid.uuid4().hex) for n in range(count))
    return sorted(await asyncio.gather(*posts), key=lambda ack: ack.seq)


def _reads() -> float:
    return float(metrics.RESUMED.labels("history")._value.get())  # noqa: SLF001 - the library has no other way to read one


@pytest.mark.parametrize("seed", range(3))
async def test_links_that_break_at_any_byte(nats_server: NatsServer, tmp_path: Path, seed: int) -> None:
    """Cut after any number of bytes, inside a head, a frame or a deflate block, again and again: nobody misses or repeats."""
    from tests.faults import FaultProxy  # noqa: PLC0415

    chance = random.Random(seed)
    async with gateway(nats_server.url, tmp_path, settings=load({"OVATION_WINDOW_MS": "10"})) as g:
        first = await g.say(comment(1))
        port = urlsplit(g.url).port
        assert port is not None
        async with FaultProxy.before(port) as proxy:
            viewers = [Viewer(f"http://127.0.0.1:{proxy.port}/", last_id=first, gzip=n % 2 == 0) for n in range(4)]
            seqs: list[int] = []
            posted = asyncio.Event()

            async def post() -> None:
                for start in range(0, 1500, 10):
                    seqs.extend(ack.seq for ack in await _say_many(g, start + 2, 10))
                posted.set()

            async def watch(viewer: Viewer) -> None:
                while not posted.is_set() or viewer.last_id != seqs[-1]:
                    # Now and then more than a window has, or nobody would get past a full one.
                    proxy.cut_after = chance.randint(1, 2 * MOST_BYTES // (4 if viewer.gzip else 1))
                    try:
                        await viewer.open()
                    except (OSError, EOFError):
                        continue
                    await eventually(lambda: viewer.over or (posted.is_set() and viewer.last_id == seqs[-1]))
                    await viewer.cut()

            await asyncio.gather(post(), *(watch(viewer) for viewer in viewers))

        for viewer in viewers:
            assert viewer.faults + viewer.gaps == []
            assert seqs == viewer.seqs
        assert sum(viewer.connections for viewer in viewers) > 12


async def test_one_fault_does_not_end_the_ticks(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a tick that failed, what ticks are for goes on: a credential that is over ends its viewer."""
    async with gateway(nats_server.url, tmp_path) as g:
        viewer = await g.viewer(backfill=0).open()
        await viewer.until(lambda v: v.events)
        audience = g.hub.audience(g.record.stream_id)
        assert audience is not None
        failed: list[float] = []

        def fail(_self: object, now: float) -> None:
            failed.append(now)
            raise RuntimeError("planted")

        with monkeypatch.context() as faulty:
            faulty.setattr(type(audience), "tick", fail)
            await eventually(lambda: bool(failed))
        [served] = audience.viewers
        served.expires_at = 0
        audience.expiring.add(served)

        await viewer.ended()


async def test_long_comments_are_caught_up_with(nats_server: NatsServer, tmp_path: Path) -> None:
    """A read of the longest comments is more than the shelf holds: whoever missed them has all, without a ring too."""
    text = "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 500
    async with gateway(nats_server.url, tmp_path, settings=load({"OVATION_RING_BYTES": "0"})) as g:
        seqs: list[int] = []
        for _ in range(11):
            seqs += await asyncio.gather(*(g.say(comment(len(seqs) + n, text=text)) for n in range(100)))
        seqs.sort()
        resumed = await g.viewer(last_id=seqs[0]).open()
        await resumed.until(lambda v: v.last_id == seqs[-1])
        assert resumed.seqs == seqs[1:]
        assert resumed.faults == []
