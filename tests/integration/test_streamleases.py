"""Who owns a stream's video: the newest taker, at once; a worker that lost it knows, told or not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from infra.clock import Clock, HandClock
from infra.jetstream.streamleases import HELD_S, Owner, StreamLeases, lease_key
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.waits import eventually

pytestmark = pytest.mark.nats


@pytest.fixture(name="b")
async def _b(nats_server: NatsServer) -> AsyncIterator[Broker]:
    async with broker(nats_server.url) as connected:
        yield connected


@asynccontextmanager
async def worker(b: Broker, name: str, clock: Clock | None = None) -> AsyncIterator[StreamLeases]:
    """One worker's leases."""
    leases = StreamLeases(b.bucket("leases"), b.feed, clock or b.clock, name, f"http://{name}:9600")
    try:
        yield leases
    finally:
        await leases.close()


async def owner(b: Broker, stream_id: str) -> Owner | None:
    """What gateways read."""
    entry = await b.bucket("leases").get(lease_key(stream_id))
    return None if entry is None or entry.value is None else msgspec.json.decode(entry.value, type=Owner)


async def test_the_newest_taker_has_the_stream(b: Broker) -> None:
    """At once, under a higher generation; the one before is told and writes no more."""
    stream_id, lost = fresh_stream(), list[str]()
    async with worker(b, "one") as one, worker(b, "two") as two:
        first = await one.take(stream_id, lambda: lost.append("one"))
        assert first.held
        assert await owner(b, stream_id) == Owner("one", first.generation, "http://one:9600")
        second = await two.take(stream_id, lambda: lost.append("two"))
        await eventually(lambda: lost == ["one"])
        assert (first.held, second.held) == (False, True)
        assert second.generation > first.generation
        assert await owner(b, stream_id) == Owner("two", second.generation, "http://two:9600")
        await first.release()
        assert await owner(b, stream_id) is not None


async def test_a_released_stream_is_nobodys(b: Broker) -> None:
    """And can be taken again under a higher generation."""
    stream_id = fresh_stream()
    async with worker(b, "one") as one:
        lease = await one.take(stream_id, lambda: None)
        assert await one.owned(stream_id)
        await lease.release()
        assert not lease.held
        assert await owner(b, stream_id) is None
        assert not await one.owned(stream_id)
        assert (await one.take(stream_id, lambda: None)).generation > lease.generation


async def test_a_paused_worker_knows_that_it_may_hold_nothing(b: Broker) -> None:
    """By its own clock, before anybody can tell it."""
    clock = HandClock()
    async with worker(b, "one", clock) as one:
        lease = await one.take(fresh_stream(), lambda: None)
        clock.advance(HELD_S - 0.1)
        assert lease.held
        clock.advance(0.2)
        assert not lease.held


async def test_a_renewal_that_comes_too_late_loses(b: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever misses the feed learns it from its own write: the revision is not its own any more."""
    monkeypatch.setattr("infra.jetstream.streamleases.RENEW_S", 0.05)
    stream_id, lost = fresh_stream(), list[bool]()
    async with worker(b, "one") as one:
        monkeypatch.setattr(one, "_seen", lambda _: None)
        lease = await one.take(stream_id, lambda: lost.append(True))
        await eventually(lambda: lease.revision > lease.generation + 1)
        async with worker(b, "two") as two:
            await two.take(stream_id, lambda: None)
            await eventually(lambda: lost == [True])
            assert not lease.held
