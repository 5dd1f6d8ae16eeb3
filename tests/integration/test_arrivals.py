"""Arrivals, counted once however often the answer is lost."""

import asyncio
import uuid

import pytest

from gateway.fanout.arrivals import Arrivals
from tests.backends.nats import NatsServer
from tests.broker import broker, fresh_stream
from tests.faults import FaultProxy
from tests.waits import eventually

pytestmark = pytest.mark.nats


async def test_a_batch_whose_answer_was_lost_is_counted_once(nats_server: NatsServer) -> None:
    """The broker counts, its answer stays away: the next call asks again under the same id, and counts who came since."""
    stream_id = fresh_stream()
    async with (
        FaultProxy.before(nats_server.port) as proxy,
        broker(nats_server.url) as b,
        broker(f"nats://127.0.0.1:{proxy.port}", wait_s=0.5, apply=False) as unlucky,
    ):
        arrivals = Arrivals(uuid.uuid4().hex, unlucky.counters)
        for _ in range(3):
            arrivals.note(0, stream_id)

        async def three() -> bool:
            return await b.counters.totals(0, stream_id) == {"arrivals": 3}

        proxy.hush_answers()
        await arrivals.count()
        arrivals.note(0, stream_id)
        await eventually(three)
        proxy.heal()

        async def counted() -> bool:
            await arrivals.count()
            return (await b.counters.totals(0, stream_id)) == {"arrivals": expected}

        expected = 4
        await eventually(counted)
        # And one that never reached the broker is not forgotten for the next.
        proxy.hush()
        arrivals.note(0, stream_id)
        await arrivals.count()
        arrivals.note(0, stream_id)
        proxy.cut_once()
        proxy.heal()
        expected = 6
        await eventually(counted)
        await asyncio.gather(*(arrivals.count() for _ in range(3)))
        assert await b.counters.totals(0, stream_id) == {"arrivals": 6}
