"""The alarm comes once, while there is time, and ends once."""

from typing import cast

from structlog.testing import capture_logs

from infra.clock import SystemClock
from infra.jetstream.pull import ConsumerState, Pull
from infra.jetstream.reader import LogMessage, LogState, Reader
from infra.telemetry import metrics
from workers.archive.lag import Lag, LagWatch, alarm, measure


def lag(of_age: float = 0.0, of_bytes: float = 0.0) -> Lag:
    """A measurement."""
    return Lag(messages=1, seconds=of_age * 86_400, of_age=of_age, of_bytes=of_bytes, full=of_bytes)


class Told(LagWatch):
    """A watch that measures nothing by itself."""

    def __init__(self) -> None:
        self.alarms: list[str] = []
        super().__init__(cast("Pull", None), cast("Reader", None), SystemClock(), 7, self.alarms.append)


def behind(of: str) -> float:
    """The alarm's metric."""
    return float(metrics.ARCHIVE_BEHIND.labels("LIVE_7", of)._value.get())  # noqa: SLF001 - what is exposed


def test_a_quarter_of_the_age_and_seventy_percent_of_the_bytes() -> None:
    """Below both nothing, from each on its own alarm, which says what and how much."""
    assert alarm("LIVE_0", lag(0.249, 0.699)) == {}
    assert list(alarm("LIVE_0", lag(0.25, 0.699))) == ["age"]
    assert "25% of the age that LIVE_0 keeps (21,600 s)" in alarm("LIVE_0", lag(0.25))["age"]
    assert list(alarm("LIVE_0", lag(0.1, 0.7))) == ["bytes"]


def test_it_is_said_once_and_ends_once() -> None:
    """Growing, trembling about the bound, falling: one line each, the metric and readiness meanwhile."""
    watch = Told()
    with capture_logs() as lines:
        for share in (0.1, 0.25, 0.3, 0.24, 0.26, 0.21, 0.25, 0.199, 0.1, 0.0):
            watch.learn(lag(share))
            if 0.2 <= share:
                assert behind("age") == 1
                assert f"{share:.0%} of the age" in watch.alarms[-1]
            else:
                assert (behind("age"), watch.alarms[-1]) == (0, "")
    assert [line["event"] for line in lines] == ["archive is behind", "archive is no longer behind"]
    assert "start more of them" in lines[0]["next"]


def test_both_at_once_are_two() -> None:
    """Age and bytes have bounds of their own."""
    watch = Told()
    watch.learn(lag(0.5, 0.9))
    assert (behind("age"), behind("bytes")) == (1, 1)
    assert "age" in watch.alarms[-1]
    assert "bytes" in watch.alarms[-1]
    watch.learn(lag(0.0, 0.9))
    assert (behind("age"), behind("bytes")) == (0, 1)


class Broker:
    """What a broker answers: a log of 1,000 messages and 1,000,000 bytes, of which the oldest 400 were acknowledged."""

    def __init__(self, clock: SystemClock, *, waiting: int = 500, unacknowledged: int = 100) -> None:
        self.now = clock.now_ms()
        self.consumer = ConsumerState(400, 500, 500, waiting, unacknowledged)

    async def state(self, log: str | None = None) -> ConsumerState | LogState:
        """Of the consumer, or of the log."""
        return self.consumer if log is None else LogState(1, 1, 1000, 1000, 1_000_000, 3600.0, 800_000)

    async def first_after(self, _log: str, _subject: str, after: int) -> LogMessage:
        """Two messages a second."""
        return LogMessage("live.0.s", after + 1, self.now - (1000 - after - 1) * 500, b"", {})


async def test_what_is_measured() -> None:
    """600 of 1,000 messages wait, the oldest for five minutes: a twelfth of an hour, 600,000 of 800,000 bytes."""
    clock = SystemClock()
    broker = Broker(clock)
    found = await measure(cast("Pull", broker), cast("Reader", broker), clock, 0)
    assert (found.messages, round(found.seconds)) == (600, 300)
    assert (round(found.of_age, 3), found.of_bytes, found.full) == (0.083, 0.75, 1.25)
    idle = Broker(clock, waiting=0, unacknowledged=0)
    assert (await measure(cast("Pull", idle), cast("Reader", idle), clock, 0)).seconds == 0
