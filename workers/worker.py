"""The loop every worker runs: fetch, handle, settle.

A message is acknowledged only after its handler made the work durable. While a dependency is away the batch stays here
and is tried again, kept from redelivery, however long that takes: nothing is given up because a disk is full, and nothing
more is asked for meanwhile. A message that cannot be handled stops only itself: it is dead-lettered, and then terminated.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.deadletter import DeadLetters
from infra.jetstream.pull import Delivery, Pull
from infra.telemetry import logs, metrics
from workers.apart import Apart, Unproven
from workers.handler import Done, Handler, Outcome, Reject, Retry
from workers.waiting import Waiting

log = logs.get(__name__)

FETCH_S = 0.5
FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 5.0
#: A quarter of the consumers' `ack_wait` of 5 s: of a message that waits for the batch before it, and then for its own to be
#: gathered, one may be lost before it is offered again.
KEEP_S = 1.2
#: A batch is gathered for as long as the one before it took, and never longer than this: handing over the next hundreds as soon
#: as they are there kept three nodes busy with small batches, at a third more of their CPU a comment than large ones.
GATHER_MOST_S = 0.8


class Worker:
    """One durable consumer and its handler."""

    def __init__(
        self,
        pull: Pull,
        handler: Handler,
        dead: DeadLetters,
        clock: Clock,
        *,
        gather_s: float = 0.0,
        max_attempts: int = 10,
        trouble: Callable[[str], None] = lambda _cause: None,
    ) -> None:
        """*gather_s*: a batch that is not full waits at least so long for more.

        *max_attempts*: failures of a message, while others are taken, before it is dead-lettered.

        *trouble* is told what the worker waits for, and "" when it goes on; `waiting.STARTING` until it is told anything.
        """
        self._pull = pull
        self._handler = handler
        self._dead = dead
        self._gather_s = gather_s
        self._apart = Apart(handler, pull.log_name, max_attempts)
        self._waiting = Waiting(pull.log_name, trouble, clock)
        self._backoff = FIRST_BACKOFF_S
        self._clock = clock
        #: Seconds that the last batch took.
        self._took = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until *stopping*; what is in hand then is settled, or given back when it cannot be."""
        try:
            while not stopping.is_set():
                try:
                    await self._handler.tend()
                    batch = await self._pull.fetch(FETCH_S, max(self._gather_s, min(self._took, GATHER_MOST_S)))
                except Unavailable as error:
                    await self._wait(str(error), stopping)
                    continue
                if batch:
                    began = self._clock.monotonic()
                    await self._work(batch, stopping)
                    self._took = self._clock.monotonic() - began
                else:
                    self._well()
            with suppress(Unavailable):
                await self._handler.tend()
        finally:
            with suppress(Unavailable):
                await self._pull.close()

    async def _work(self, batch: list[Delivery], stopping: asyncio.Event) -> None:
        self._handler.fetched(batch)
        async with self._kept(batch):
            while True:
                try:
                    await self._settle(batch, await self._apart.handle(batch))
                except Unproven as error:
                    # Given back, so that what comes after them is tried as well: all of these may be poison.
                    await self._wait(str(error), stopping)
                    with suppress(Unavailable):
                        await self._pull.nak(batch)
                    return
                except Unavailable as error:
                    if stopping.is_set():
                        with suppress(Unavailable):
                            await self._pull.nak(batch)
                        return
                    await self._wait(str(error), stopping)
                else:
                    self._well()
                    return

    async def _settle(self, batch: Sequence[Delivery], outcomes: Sequence[Outcome]) -> None:
        pairs = list(zip(batch, outcomes, strict=True))
        await self._pull.ack(d for d, outcome in pairs if isinstance(outcome, Done))
        for delivery, outcome in pairs:
            match outcome:
                case Retry(delay_s):
                    await self._pull.nak([delivery], delay_s)
                case Reject(reason):
                    await self._dead.put(delivery, reason)
                    self._handler.rejected(delivery)
                    metrics.DEAD_LETTERS.labels(delivery.consumer).inc()
                    log.error("dead-lettered", log=delivery.log, seq=delivery.seq, reason=reason)
                    await self._pull.term(delivery, reason)
                case Done():
                    pass

    @asynccontextmanager
    async def _kept(self, batch: Sequence[Delivery]) -> AsyncIterator[None]:
        async def keep() -> None:
            while True:
                await asyncio.sleep(KEEP_S)
                with suppress(Unavailable):
                    await self._pull.keep(batch)

        keeping = asyncio.create_task(keep())
        try:
            yield
        finally:
            keeping.cancel()

    async def _wait(self, cause: str, stopping: asyncio.Event) -> None:
        self._waiting.on(cause)
        jittered = self._backoff * random.uniform(0.5, 1.5)  # noqa: S311 - jitter, not secrecy
        self._backoff = min(self._backoff * 2, LAST_BACKOFF_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(jittered):
                await stopping.wait()

    def _well(self) -> None:
        self._backoff = FIRST_BACKOFF_S
        self._waiting.over()
