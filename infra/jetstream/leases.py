"""A number held alone while it is renewed, and comment ids stamped under one.

The bucket has a TTL and the key is renewed with `update(last=revision)`: a per-message TTL would be lost on update and
never expire. Ids are stamped only up to the last renewal + ttl/2, so a process that was paused past its lease issues none;
and the value keeps the highest millisecond that may have been used, so the next holder starts above it.
"""

import asyncio
import random

import msgspec

from infra.clock import Clock
from infra.errors import Conflict, Unavailable
from infra.jetstream.kv import Bucket
from infra.telemetry import logs
from schemas.snowflake import MACHINES, ClockBehind, Snowflake, SnowflakeSequence

log = logs.get(__name__)

BUCKET = "leases"
#: The bucket's max_age in nats/kv/KV_leases.json.
TTL_S = 15.0
RENEW_S = 3.0
#: While the broker is away: posting has to be possible within 5 s of its return, and the lease has run out by then.
AGAIN_S = 0.5
ATTEMPTS = 64
#: A wait for the next free millisecond is served here; a longer one means a clock that stepped back, and is refused.
SHORT_WAIT_MS = 50


class _Value(msgspec.Struct):
    owner: str
    used_ms: int


class MachineLease:
    """Holds one of the 1,024 machine numbers, and stamps Snowflakes under it."""

    def __init__(self, bucket: Bucket, clock: Clock, owner: str) -> None:
        """*owner* is written into the lease, for people who look."""
        self._bucket = bucket
        self._clock = clock
        self._owner = owner
        self._revision = 0
        self._held_until = 0.0
        self._ceiling_ms = 0
        self._sequence: SnowflakeSequence | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def machine(self) -> int | None:
        """The number held, if any."""
        return self._sequence.machine if self._sequence else None

    @property
    def held(self) -> bool:
        """Whether ids may be stamped now."""
        return self._sequence is not None and self._clock.monotonic() < self._held_until

    async def start(self) -> None:
        """Take a free number and keep it.

        Raises:
            Unavailable: the bucket does not answer, or no free number was found.
        """
        await self.acquire()
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Give the number back; its last used millisecond stays until the TTL."""
        if self._task:
            self._task.cancel()
        self._held_until = 0.0

    async def acquire(self) -> None:
        """Take a free number once.

        Raises:
            Unavailable: as `start`.
        """
        for machine in random.sample(range(MACHINES), ATTEMPTS):
            key = f"machine.{machine}"
            former = await self._bucket.get(key)
            if former is not None and former.value is not None:
                continue
            asked = self._clock.monotonic()
            ceiling = self._clock.now_ms() + int(TTL_S * 500)
            try:
                self._revision = await self._bucket.create(key, self._value(ceiling))
            except Conflict:
                continue
            self._sequence = SnowflakeSequence(machine, self._clock.now_ms())
            self._held_until, self._ceiling_ms = asked + TTL_S / 2, ceiling
            log.info("machine lease taken", machine=machine)
            return
        msg = f"no free machine number among {ATTEMPTS} tried of {MACHINES}; are hundreds of gateways running?"
        raise Unavailable(msg, retry_after=int(TTL_S))

    async def renew(self) -> None:
        """Renew once.

        Raises:
            Conflict: the lease was lost.
            Unavailable: nobody knows; ids go on until the half of the TTL is over.
        """
        if self._sequence is None:
            msg = "no machine number is held"
            raise Conflict(msg)
        asked = self._clock.monotonic()
        ceiling = max(self._clock.now_ms(), self._sequence.last_ms) + int(TTL_S * 500)
        self._revision = await self._bucket.update(f"machine.{self._sequence.machine}", self._value(ceiling), self._revision)
        self._held_until, self._ceiling_ms = asked + TTL_S / 2, ceiling

    async def stamp(self) -> Snowflake:
        """Stamp one id, waiting a few milliseconds where this one's ids are spent.

        Raises:
            Unavailable: the lease is not held, or the clock stepped back by more than that.
        """
        while True:
            if not self.held or self._sequence is None:
                msg = "the lease on the machine number is not held, so no comment id may be stamped"
                raise Unavailable(msg)
            now = self._clock.now_ms()
            if now > self._ceiling_ms:
                msg = "the clock stands past what the lease on the machine number covers"
                raise Unavailable(msg)
            try:
                return self._sequence.stamp(now)
            except ClockBehind as behind:
                if behind.wait_ms > SHORT_WAIT_MS:
                    msg = f"the clock stepped back by {behind.wait_ms} ms; ids wait until it has caught up"
                    raise Unavailable(msg, retry_after=-(-behind.wait_ms // 1000)) from None
                await asyncio.sleep(behind.wait_ms / 1000)

    async def _keep(self) -> None:
        wait_s = RENEW_S
        while True:
            await asyncio.sleep(wait_s)
            troubled, wait_s = wait_s != RENEW_S, RENEW_S
            try:
                if self._sequence is None:
                    await self.acquire()
                else:
                    await self.renew()
            except Conflict:
                log.warning("machine lease lost; taking another", machine=self.machine)
                self._sequence, self._held_until, wait_s = None, 0.0, 0.0
            except Unavailable as error:
                if not troubled:
                    log.warning("machine lease not renewed", machine=self.machine, cause=str(error))
                wait_s = AGAIN_S

    def _value(self, used_ms: int) -> bytes:
        return msgspec.json.encode(_Value(self._owner, used_ms))
