"""The loop of a worker over a real consumer: what it takes at once."""

import asyncio
from collections.abc import Sequence

import pytest

from infra.clock import HandClock
from infra.jetstream.deadletter import DeadLetters
from infra.jetstream.pull import Delivery
from tests.backends.nats import NatsServer
from tests.broker import broker, fresh_stream
from tests.integration.test_pull import consumer, post, pulling
from tests.waits import eventually
from workers.handler import Done, Outcome
from workers.worker import Worker

pytestmark = pytest.mark.nats


class Slow:
    """A handler whose first batch takes ten seconds, by its clock, and until it is told to go on."""

    def __init__(self, clock: HandClock) -> None:
        self.batches: list[int] = []
        self.go_on, self.asked_again = asyncio.Event(), asyncio.Event()
        self._clock = clock

    def fetched(self, batch: Sequence[Delivery]) -> None:
        """Count them."""
        self.batches.append(len(batch))

    async def handle(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Take what it takes."""
        if len(self.batches) == 1:
            await self.go_on.wait()
            self._clock.advance(10)
        return [Done()] * len(batch)

    def rejected(self, delivery: Delivery) -> None:
        """Nothing is."""

    async def tend(self) -> None:
        """Next it asks for messages."""
        if self.go_on.is_set():
            self.asked_again.set()


async def test_a_batch_is_gathered_for_as_long_as_the_last_one_took(nats_server: NatsServer) -> None:
    """So a slow store has fewer batches, and larger ones; 0.8 s at the most."""
    async with broker(nats_server.url) as b:
        stream_id, clock, stopping = fresh_stream(), HandClock(), asyncio.Event()
        handler = Slow(clock)
        async with pulling(b, await consumer(b, stream_id, 120)) as pull:
            worker = Worker(pull, handler, DeadLetters(b.publisher), clock)
            working = asyncio.create_task(worker.run(stopping))
            await post(b, stream_id, 1)
            await eventually(lambda: handler.batches == [1])
            await post(b, stream_id, 1)

            async def waiting_here() -> bool:
                return (await pull.state()).unacknowledged == 2

            await eventually(waiting_here)
            handler.go_on.set()
            await handler.asked_again.wait()
            await post(b, stream_id, 1)
            await eventually(lambda: sum(handler.batches) == 3)
            assert handler.batches == [1, 2]
            stopping.set()
            await working
