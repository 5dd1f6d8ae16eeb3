"""How much of a live log is not archived yet, and the alarm while there is still time.

The broker knows it, whichever archives run and whatever the store does: what the consumer was not offered or has not
acknowledged. Measured beside the archive's own work, which stands still just when this matters.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.pull import Pull
from infra.jetstream.reader import Reader
from infra.telemetry import logs, metrics
from schemas import subjects

log = logs.get(__name__)

#: Seconds between two measurements.
MEASURE_S = 5.0
#: From these shares on it is an alarm: of a day's log 18 hours are left then, and 30 % of its bytes.
AGE_ALARM = 0.25
BYTES_ALARM = 0.70
#: The alarm ends at this part of them, so that a lag near the bound is one alarm.
ENDS_AT = 0.8
NEXT = (
    "see why the archive waits or is slow (its log, /readyz), or start more of them: docs/operating.md, When the store is away"
)


class Lag(Struct, frozen=True):
    """What of a live log is not archived: messages, the age of the oldest, and the shares of what the log keeps at most.

    `of_bytes` takes messages to be of the log's mean size. `full` is the share of the log's bytes in use, archived or not.
    """

    messages: int
    seconds: float
    of_age: float
    of_bytes: float
    full: float


async def measure(pull: Pull, reader: Reader, clock: Clock, shard: int) -> Lag:
    """How far the archives are behind at the moment.

    Raises:
        Unavailable: the broker does not answer, or has no such log or consumer.
    """
    log_name = subjects.live_log(shard)
    consumer = await pull.state()
    held = await reader.state(log_name)
    messages = consumer.waiting + consumer.unacknowledged
    seconds = 0.0
    if messages:
        oldest = await reader.first_after(log_name, subjects.all_live(shard), consumer.ack_floor)
        seconds = max(0.0, (clock.now_ms() - oldest.at_ms) / 1000) if oldest is not None else 0.0
    waiting_bytes = held.bytes * min(1.0, messages / max(1, held.messages))
    return Lag(
        messages=messages,
        seconds=seconds,
        of_age=seconds / held.max_age_s if held.max_age_s else 0.0,
        of_bytes=waiting_bytes / held.max_bytes if held.max_bytes else 0.0,
        full=held.bytes / held.max_bytes if held.max_bytes else 0.0,
    )


def alarm(log_name: str, lag: Lag, *, age: float = AGE_ALARM, size: float = BYTES_ALARM) -> dict[str, str]:
    """What is an alarm (`age`, `bytes`), each in people's words; empty when nothing is."""
    found = {}
    if lag.of_age >= age:
        found["age"] = f"what waits for the archive is {lag.of_age:.0%} of the age that {log_name} keeps ({lag.seconds:,.0f} s)"
    if lag.of_bytes >= size:
        found["bytes"] = f"what waits for the archive is {lag.of_bytes:.0%} of the bytes that {log_name} keeps"
    return found


class LagWatch:
    """Measures one live log until told to stop."""

    def __init__(
        self,
        pull: Pull,
        reader: Reader,
        clock: Clock,
        shard: int,
        tell: Callable[[str], None],
        learned: Callable[[Lag], None] = lambda _lag: None,
    ) -> None:
        """*tell* is told the alarm in people's words, and "" when it is over; *learned* each measurement."""
        self._pull = pull
        self._reader = reader
        self._clock = clock
        self._shard = shard
        self._log = subjects.live_log(shard)
        self._tell = tell
        self._learned = learned
        self._alarms: dict[str, str] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Measure now and every `MEASURE_S`."""
        while not stopping.is_set():
            # Without a broker the last measurement stands; the worker says that it is away.
            with suppress(Unavailable, LookupError):
                self.learn(await measure(self._pull, self._reader, self._clock, self._shard))
            with suppress(TimeoutError):
                async with asyncio.timeout(MEASURE_S):
                    await stopping.wait()

    def learn(self, lag: Lag) -> None:
        """Publish one measurement; say when an alarm begins and when it is over."""
        metrics.ARCHIVE_LAG.labels(self._log).set(lag.messages)
        metrics.ARCHIVE_LAG_SECONDS.labels(self._log).set(lag.seconds)
        metrics.LOG_SHARE.labels(self._log).set(lag.full)
        now = alarm(self._log, lag)
        lasting = alarm(self._log, lag, age=AGE_ALARM * ENDS_AT, size=BYTES_ALARM * ENDS_AT)
        for of, share in (("age", lag.of_age), ("bytes", lag.of_bytes)):
            metrics.ARCHIVE_SHARE.labels(self._log, of).set(share)
            if of in now and of not in self._alarms:
                log.error("archive is behind", log=self._log, of=of, cause=now[of], messages=lag.messages, next=NEXT)
                self._alarms[of] = now[of]
            elif of in self._alarms and of not in lasting:
                log.info("archive is no longer behind", log=self._log, of=of, share=round(share, 3), messages=lag.messages)
                del self._alarms[of]
            elif of in self._alarms:
                self._alarms[of] = lasting[of]
            metrics.ARCHIVE_BEHIND.labels(self._log, of).set(int(of in self._alarms))
        self._tell("; ".join(self._alarms.values()))
        self._learned(lag)
