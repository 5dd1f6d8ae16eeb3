"""Comment ids: unique over all processes, whatever clocks and leases do."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest

from infra.clock import HandClock
from infra.errors import Conflict, Unavailable
from infra.jetstream.leases import TTL_S
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker

pytestmark = pytest.mark.nats


@pytest.fixture(name="b")
async def _b(nats_server: NatsServer) -> AsyncIterator[Broker]:
    async with broker(nats_server.url) as connected:
        yield connected


async def test_two_processes_hold_two_numbers(b: Broker) -> None:
    """Thirty leases, thirty machine numbers."""
    leases = [b.lease() for _ in range(30)]
    await asyncio.gather(*(lease.acquire() for lease in leases))

    assert len({lease.machine for lease in leases}) == 30


async def test_an_equal_value_is_not_the_same_write(b: Broker) -> None:
    """Of two who create one key with one value, as in one millisecond, one holds it and the other is told so."""
    key = f"test.{uuid.uuid4().hex}"

    told = await asyncio.gather(*(b.bucket("leases").create(key, b"equal") for _ in range(2)), return_exceptions=True)

    assert [Conflict, int] == sorted((type(each) for each in told), key=lambda kind: kind.__name__)


async def test_a_lost_lease_stops_issuing(b: Broker) -> None:
    """Without a renewal, ids end at half the TTL: long before anyone else can hold the number."""
    clock = HandClock(b.clock.now_ms())
    lease = b.lease(clock)
    await lease.acquire()
    clock.advance(0.001)
    await lease.stamp()
    clock.advance(TTL_S / 2 + 0.001)

    with pytest.raises(Unavailable, match="not held"):
        await lease.stamp()


async def test_a_renewal_goes_on(b: Broker) -> None:
    """Renewed in time, ids go on under the same number."""
    clock = HandClock(b.clock.now_ms())
    lease = b.lease(clock)
    await lease.acquire()
    clock.advance(0.001)
    before = await lease.stamp()
    clock.advance(TTL_S / 3)
    await lease.renew()
    clock.advance(TTL_S / 3)

    assert before.machine == (await lease.stamp()).machine


async def test_a_lease_taken_over_is_noticed(b: Broker) -> None:
    """Somebody else's write under our number is a conflict, not a renewal."""
    lease = b.lease()
    await lease.acquire()
    entry = await b.bucket("leases").get(f"machine.{lease.machine}")
    assert entry is not None
    assert entry.value is not None
    await b.bucket("leases").update(entry.key, entry.value + b" ", entry.revision)

    with pytest.raises(Conflict):
        await lease.renew()


async def test_a_small_step_back_waits(b: Broker) -> None:
    """The clock steps back 20 ms: the next id waits for it and is larger."""
    clock = HandClock(b.clock.now_ms())
    lease = b.lease(clock)
    await lease.acquire()
    clock.advance(0.001)
    before = await lease.stamp()
    clock.step(-0.02)
    stamping = asyncio.create_task(lease.stamp())
    await asyncio.sleep(0)
    assert not stamping.done()
    clock.step(0.021)

    assert int(str(await stamping)) > int(str(before))


async def test_a_large_step_back_refuses(b: Broker) -> None:
    """The clock steps back a minute: no id is issued, and the refusal says how long."""
    clock = HandClock(b.clock.now_ms())
    lease = b.lease(clock)
    await lease.acquire()
    clock.advance(0.001)
    await lease.stamp()
    clock.step(-60)

    with pytest.raises(Unavailable, match="stepped back by 60000 ms") as refused:
        await lease.stamp()
    assert refused.value.retry_after == 60


async def test_a_clock_past_the_lease_refuses(b: Broker) -> None:
    """An id beyond what the lease recorded could be stamped again by the number's next holder."""
    clock = HandClock(b.clock.now_ms())
    lease = b.lease(clock)
    await lease.acquire()
    clock.step(TTL_S)

    with pytest.raises(Unavailable, match="past what the lease"):
        await lease.stamp()


async def test_more_ids_than_a_millisecond_has(b: Broker) -> None:
    """5,000 ids asked at once are 5,000 different ones."""
    lease = b.lease()
    await lease.acquire()
    ids = [str(await lease.stamp()) for _ in range(5000)]

    assert len(set(ids)) == 5000
