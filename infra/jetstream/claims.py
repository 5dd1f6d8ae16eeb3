"""Work that one process at a time does: key `work.<what>` of the bucket `leases` (architecture rule 8).

Unlike a stream, which its newest taker has at once, a claim is left to whoever has it until that one gives it up or dies.
"""

import asyncio
import contextlib

from infra.clock import Clock
from infra.errors import Conflict, Unavailable
from infra.jetstream.kv import Bucket
from infra.telemetry import logs

#: A claim is acted on for this long after the last renewal that was stored; less than the bucket's max_age of 15 s.
HELD_S = 10.0
RENEW_S = 3.0
AGAIN_S = 0.5


class WorkClaim:
    """One claim, renewed by a task of its own."""

    def __init__(self, bucket: Bucket, key: str, worker: str, clock: Clock) -> None:
        self._bucket = bucket
        self._key = key
        self._worker = worker.encode()
        self._clock = clock
        self._revision = 0
        self._held_until = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Whether the work may go on. False as soon as it could be somebody else's, also for whoever was paused."""
        return self._clock.monotonic() < self._held_until

    async def take(self) -> bool:
        """Try to have it.

        Raises:
            Unavailable: the bucket does not answer.
        """
        asked = self._clock.monotonic()
        try:
            self._revision = await self._bucket.create(self._key, self._worker)
        except Conflict:
            return False
        self._held_until = asked + HELD_S
        self._task = asyncio.create_task(self._keep(), name=f"claim {self._key}")
        return True

    async def release(self) -> None:
        """Give it up."""
        self._held_until = 0.0
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        with contextlib.suppress(Conflict, Unavailable):
            await self._bucket.delete(self._key, self._revision)

    async def _keep(self) -> None:
        wait_s = RENEW_S
        while True:
            await asyncio.sleep(wait_s)
            asked, wait_s = self._clock.monotonic(), RENEW_S
            try:
                self._revision = await self._bucket.update(self._key, self._worker, self._revision)
            except Conflict:
                self._held_until = 0.0
                logs.get(__name__).warning("a claim was lost", key=self._key)
                return
            except Unavailable:
                wait_s = AGAIN_S
                continue
            self._held_until = asked + HELD_S


class WorkClaims:
    """Takes claims for one process."""

    def __init__(self, bucket: Bucket, clock: Clock, worker: str) -> None:
        """*worker* is told to people who look."""
        self._bucket = bucket
        self._clock = clock
        self._worker = worker

    async def take(self, what: str) -> WorkClaim | None:
        """Claim *what*; `None` where somebody else has it.

        Raises:
            Unavailable: the bucket does not answer.
        """
        claim = WorkClaim(self._bucket, f"work.{what}", self._worker, self._clock)
        return claim if await claim.take() else None
