"""Taps over several gateways: counted exactly, with few additions, through a broker that fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import pytest

from gateway import taps as taps_module
from gateway.taps import Taps
from infra.errors import Unavailable
from infra.jetstream.counters import Counters
from infra.jetstream.tally import Tally
from schemas import subjects
from schemas.items import REACTIONS
from schemas.pulse import ReactionPulse
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.faults import FaultProxy
from tests.waits import PATIENCE_S, eventually

pytestmark = pytest.mark.nats


@asynccontextmanager
async def _gateway(url: str, name: str, *, part: int = 0, interval_ms: int = 50, wait_s: float = 10.0) -> AsyncIterator[Taps]:
    """One gateway's taps on a connection of its own."""
    async with broker(url, apply=False, wait_s=wait_s) as b:
        taps = Taps(name, Counters(b.publisher, b.reader, part), b.feed, b.clock, interval_ms)
        try:
            yield taps
        finally:
            await taps.stop()


@asynccontextmanager
async def _gateways(url: str, count: int, parts: int = 8) -> AsyncIterator[list[Taps]]:
    async with AsyncExitStack() as stack:
        async with broker(url):
            pass
        names = [f"{fresh_stream()}-{n}" for n in range(count)]
        yield [await stack.enter_async_context(_gateway(url, name, part=n % parts)) for n, name in enumerate(names)]


async def _messages(b: Broker, stream_id: str) -> int:
    """How often something was added to the counters of a stream; at most 8 a part are kept."""
    return len(await b.reader.follow_from("COUNTS_0", subjects.counts(0, stream_id), 0))


async def test_three_thousand_taps_on_four_gateways_are_counted_exactly(nats_server: NatsServer) -> None:
    """All types at once: every tap once, totals that contain one's own tap, and in the end the sum of all."""
    stream_id = fresh_stream()
    async with _gateways(nats_server.url, 4) as gateways, broker(nats_server.url) as b:

        async def tap(n: int) -> dict[str, int]:
            return await gateways[n % 4].count(0, stream_id, REACTIONS[n % 5])

        answers = await asyncio.gather(*(tap(n) for n in range(3000)))

        sent = Counter(REACTIONS[n % 5] for n in range(3000))
        assert await b.counters.totals(0, stream_id) == sent
        assert all(answer[REACTIONS[n % 5]] >= 1 for n, answer in enumerate(answers))
        last = await gateways[0].count(0, stream_id, "like")
        assert last == sent | {"like": 601}


async def test_the_taps_of_an_interval_are_one_addition_and_one_pulse(nats_server: NatsServer) -> None:
    """A thousand taps at once: one message on the counter log, one pulse; the next thousand wait for the interval."""
    stream_id, pulses = fresh_stream(), list[ReactionPulse]()
    async with (
        _gateways(nats_server.url, 1),
        _gateway(nats_server.url, fresh_stream(), interval_ms=1000) as taps,
        broker(nats_server.url) as b,
    ):
        subscription = await b.feed.listen(
            subjects.pulse(0, stream_id), lambda _, payload: pulses.append(msgspec.json.decode(payload, type=ReactionPulse))
        )
        began = b.clock.monotonic()
        await asyncio.gather(*(taps.count(0, stream_id, "like") for _ in range(1000)))
        assert await _messages(b, stream_id) == 1
        await asyncio.gather(*(taps.count(0, stream_id, "love") for _ in range(1000)))
        await eventually(lambda: len(pulses) == 2)
        await subscription.end()

        assert await _messages(b, stream_id) == 2
        assert [pulse.counts for pulse in pulses] == [{"like": 1000}, {"love": 1000}]
        assert pulses[1].parts == {"love": {0: 1000}}
        assert b.clock.monotonic() - began >= 1.0


async def test_a_lone_tap_does_not_wait_for_the_interval(nats_server: NatsServer) -> None:
    """With an interval of a minute, a first tap is answered all the same, in each of two streams."""
    async with _gateways(nats_server.url, 1), _gateway(nats_server.url, fresh_stream(), interval_ms=60_000) as taps:
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(2):
                assert await taps.count(0, fresh_stream(), "wow") == {"wow": 1}


async def test_after_a_quiet_interval_the_next_tap_is_a_first_one(nats_server: NatsServer) -> None:
    """Streams without taps are forgotten, so that what a gateway remembers is bounded by what is going on."""
    stream_id = fresh_stream()
    async with _gateways(nats_server.url, 1) as [taps]:
        await taps.count(0, stream_id, "wow")
        await eventually(lambda: not taps._lines)  # noqa: SLF001 - nothing else shows it

        assert await taps.count(0, stream_id, "wow") == {"wow": 2}


async def test_a_broker_that_is_away_refuses_the_whole_batch(own_nats_server: NatsServer) -> None:
    """Every tap of it gets Unavailable, none is left waiting, and after the return taps count again."""
    stream_id = fresh_stream()
    async with _gateways(own_nats_server.url, 1), _gateway(own_nats_server.url, "away", wait_s=2.0) as taps:
        assert await taps.count(0, stream_id, "like") == {"like": 1}
        own_nats_server.kill()
        taken = await asyncio.gather(*(taps.count(0, stream_id, "like") for _ in range(50)), return_exceptions=True)
        assert all(isinstance(each, Unavailable) for each in taken)
        assert taps.waiting == 0

        own_nats_server.start()

        async def counts_again() -> bool:
            try:
                totals = await taps.count(0, stream_id, "love")
            except Unavailable:
                return False
            return totals == {"like": 1, "love": 1}

        await eventually(counts_again)


async def test_a_broker_killed_in_the_middle_counts_every_answered_tap_once(own_nats_server: NatsServer) -> None:
    """Four gateways, two of which share each part, tap through three kills -9; all are answered, the sum is their number."""
    stream_id = fresh_stream()
    async with _gateways(own_nats_server.url, 4, parts=2) as gateways:
        answered, failed, stopping = [0], [0], asyncio.Event()

        async def tap(taps: Taps) -> None:
            while not stopping.is_set():
                try:
                    await taps.count(0, stream_id, "like")
                except Unavailable:
                    failed[0] += 1
                else:
                    answered[0] += 1

        people = [asyncio.create_task(tap(gateways[n % 4])) for n in range(80)]
        for _ in range(3):
            before = answered[0]
            await eventually(lambda before=before: answered[0] > before + 400)  # type: ignore[misc]  # bound at once
            own_nats_server.kill()
            own_nats_server.start()
        before = answered[0]
        await eventually(lambda: answered[0] > before + 400)
        stopping.set()
        await asyncio.gather(*people)

        assert failed == [0]
        async with broker(own_nats_server.url, apply=False) as b:
            assert await b.counters.totals(0, stream_id) == {"like": answered[0]}


async def test_an_answer_that_was_lost_on_the_way_is_asked_for_again(nats_server: NatsServer) -> None:
    """On links that are cut after some bytes, in the middle of many a PubAck, every tap is answered and counted once."""
    streams = [fresh_stream() for _ in range(20)]
    async with _gateways(nats_server.url, 1), FaultProxy.before(nats_server.port) as proxy, broker(nats_server.url) as b:
        proxy.cut_after = 2500

        async def tap(taps: Taps, stream_id: str) -> None:
            for _ in range(3):
                await taps.count(0, stream_id, "haha")

        async with _gateway(f"nats://127.0.0.1:{proxy.port}", fresh_stream(), interval_ms=1) as taps:
            await asyncio.gather(*(tap(taps, stream_id) for stream_id in streams))
        assert proxy.links > 2

        assert [await b.counters.totals(0, stream_id) for stream_id in streams] == [{"haha": 3}] * len(streams)


async def test_more_taps_than_may_wait_are_refused(own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a tap is told at once; those before it are counted."""
    monkeypatch.setattr(taps_module, "WAITING", 10)
    monkeypatch.setattr(taps_module, "STREAMS", 2)
    stream_id = fresh_stream()
    async with _gateways(own_nats_server.url, 1) as [taps]:
        taken = await asyncio.gather(*(taps.count(0, stream_id, "like") for _ in range(15)), return_exceptions=True)
        assert [isinstance(each, Unavailable) for each in taken] == [False] * 10 + [True] * 5

        taken = await asyncio.gather(*(taps.count(0, fresh_stream(), "like") for _ in range(3)), return_exceptions=True)
        assert [isinstance(each, Unavailable) for each in taken] == [False, True, True]


async def test_stopping_counts_what_has_gathered(nats_server: NatsServer) -> None:
    """A tap that waits for its interval when the gateway stops is counted and answered."""
    stream_id = fresh_stream()
    async with _gateways(nats_server.url, 1), _gateway(nats_server.url, fresh_stream(), interval_ms=60_000) as taps:
        await taps.count(0, stream_id, "sad")
        waiting = asyncio.create_task(taps.count(0, stream_id, "sad"))
        await eventually(lambda: taps.waiting == 1)
        await taps.stop()

        assert await waiting == {"sad": 2}


async def test_a_watched_streams_totals_hold_what_other_gateways_counted(nats_server: NatsServer) -> None:
    """The tally that the pulses feed is the one that answers are made from, and the log adds what a pulse lost."""
    stream_id, tally = fresh_stream(), Tally()
    async with _gateways(nats_server.url, 2) as [other, _], broker(nats_server.url) as b:
        await other.count(0, stream_id, "like")
        taps = Taps(fresh_stream(), Counters(b.publisher, b.reader, 5), b.feed, b.clock, 10, lambda _: tally)
        assert await taps.count(0, stream_id, "like") == {"like": 2}
        tally.know({"like": {6: 40}})
        assert await taps.count(0, stream_id, "love") == {"like": 42, "love": 1}
        await taps.stop()
