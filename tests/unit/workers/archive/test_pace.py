"""A store that is slow and fails nothing is said: when the archive falls behind, now and then, and when it is over."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from infra.clock import HandClock
from infra.telemetry import metrics
from workers.archive.lag import MEASURE_S, Lag
from workers.archive.pace import BEHIND_S, LASTS_S, REMIND_S, SLOW_S, Pace


class Slow:
    """An archive whose batches take as long as they are told, measured every few seconds."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.pace = Pace("LIVE_9", "127.0.0.1:9042/ovation", self.clock)

    def passes(self, seconds: float, *, batch_s: float, oldest_s: float, messages: int = 100, fails: bool = False) -> None:
        """Write batches of fifty, one after the other, for so long."""
        measured = 0.0
        while seconds > 0:
            self.pace.begin()
            self.clock.advance(batch_s)
            if fails:
                self.pace.fail()
            else:
                self.pace.end(50)
            seconds -= batch_s
            measured += batch_s
            if measured >= MEASURE_S:
                measured = 0.0
                self.measured(oldest_s, messages)

    def measured(self, oldest_s: float, messages: int = 100) -> None:
        """One measurement."""
        self.pace.learn(Lag(messages=messages, seconds=oldest_s, of_age=0.0, of_bytes=0.0, full=0.0))


@pytest.fixture(name="slow")
def _slow() -> Slow:
    return Slow()


@pytest.fixture(name="lines")
def _lines() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as lines:
        yield lines


def gauge() -> float:
    """The metric."""
    return float(metrics.ARCHIVE_SLOW.labels("LIVE_9")._value.get())  # noqa: SLF001 - what is exposed


def test_ten_slow_minutes(slow: Slow, lines: list[MutableMapping[str, Any]]) -> None:
    """Batches of 12 s for ten minutes: a line with the store and its time, one with the progress, one when it is over."""
    slow.passes(60, batch_s=0.02, oldest_s=1)
    assert (lines, gauge()) == ([], 0)
    slow.passes(600, batch_s=12, oldest_s=20)
    assert [line["event"] for line in lines] == ["archive falls behind", "archive is still behind"]
    assert gauge() == 1
    assert lines[0]["store"] == "127.0.0.1:9042/ovation"
    assert lines[1]["seconds_per_batch"] == 12
    assert lines[1]["items_per_second"] == pytest.approx(50 / 12, abs=0.2)
    assert "what makes the store slow" in lines[0]["next"]
    slow.passes(60, batch_s=0.02, oldest_s=1, messages=1)
    assert [line["event"] for line in lines[2:]] == ["archive has caught up"]
    assert lines[2]["seconds"] > 500
    assert lines[2]["archived"] > 2000
    assert gauge() == 0


def test_an_old_backlog_is_behind_however_fast_the_batches_are(slow: Slow, lines: list[MutableMapping[str, Any]]) -> None:
    """From half a minute on; what trembles about the bound is one time, and an hour has a line every five minutes."""
    slow.passes(60, batch_s=0.5, oldest_s=BEHIND_S - 1)
    assert lines == []
    for oldest in (BEHIND_S, BEHIND_S - 1, BEHIND_S, BEHIND_S * 0.85) * 180:
        slow.passes(MEASURE_S, batch_s=0.5, oldest_s=oldest)
        if not lines:
            # Until it has lasted, a moment below the bound begins it anew.
            slow.passes(LASTS_S + MEASURE_S, batch_s=0.5, oldest_s=BEHIND_S)
    assert [line["event"] for line in lines] == ["archive falls behind"] + ["archive is still behind"] * int(3600 / REMIND_S)


def test_an_outage_says_nothing_here(slow: Slow, lines: list[MutableMapping[str, Any]]) -> None:
    """What fails is said by whoever waits; the backlog it left is said when it lasts, not while it drains in seconds."""
    slow.passes(600, batch_s=5, oldest_s=300, fails=True)
    slow.passes(LASTS_S - 3, batch_s=0.1, oldest_s=300)
    slow.passes(60, batch_s=0.1, oldest_s=0)
    assert lines == []
    slow.passes(600, batch_s=5, oldest_s=300, fails=True)
    slow.passes(LASTS_S + 2 * MEASURE_S, batch_s=0.1, oldest_s=300)
    assert [line["event"] for line in lines] == ["archive falls behind"]


def test_a_batch_that_never_ends_counts(slow: Slow, lines: list[MutableMapping[str, Any]]) -> None:
    """A store that hangs ends no batch: how long the one under way has taken is its time."""
    slow.passes(10, batch_s=0.02, oldest_s=1)
    slow.pace.begin()
    for _ in range(4):
        slow.clock.advance(MEASURE_S)
        slow.measured(2.0)
    assert [(line["event"], line["seconds_per_batch"]) for line in lines] == [("archive falls behind", 3 * MEASURE_S)]


def test_a_quiet_stream_is_not_behind(slow: Slow, lines: list[MutableMapping[str, Any]]) -> None:
    """Nothing waits: a slow store is nobody's trouble."""
    slow.passes(120, batch_s=SLOW_S * 2, oldest_s=0, messages=0)
    assert (lines, gauge()) == ([], 0)
