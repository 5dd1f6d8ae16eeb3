"""An outage is said when it begins and when it is over, not at every try."""

import pytest
from structlog.testing import capture_logs

from infra.clock import HandClock
from infra.telemetry import metrics
from workers.waiting import CALM_S, REMIND_S, Waiting


class Told:
    """What was told, and the clock."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.causes: list[str] = []
        self.waiting = Waiting("LIVE_9", self.causes.append, self.clock)

    def tries(self, seconds: float, cause: str = "full, {n} MiB free") -> None:
        """Fail every five seconds, each time with other words."""
        for n in range(int(seconds / 5)):
            self.waiting.on(cause.format(n=n))
            self.clock.advance(5)

    def well(self, seconds: float) -> None:
        """Succeed twice a second."""
        for _ in range(int(seconds * 2) + 1):
            self.waiting.over()
            self.clock.advance(0.5)


@pytest.fixture(name="told")
def _told() -> Told:
    return Told()


def gauge() -> float:
    """The metric."""
    return float(metrics.WORKER_WAITING.labels("LIVE_9")._value.get())  # noqa: SLF001 - what is exposed


def test_an_outage_is_two_lines(told: Told) -> None:
    """Nine minutes, 108 tries, each with another cause: a line with cause and next step, a line with how long it was."""
    with capture_logs() as lines:
        told.well(1)
        told.tries(540)
        assert (gauge(), told.causes[-1]) == (1, "full, 107 MiB free")
        told.well(CALM_S + 60)
    assert [line["event"] for line in lines] == ["waiting", "going on"]
    assert lines[0]["cause"] == "full, 0 MiB free"
    assert "goes on by itself" in lines[0]["next"]
    assert (lines[1]["seconds"], lines[1]["tries"], lines[1]["after"]) == (540, 108, "full, 107 MiB free")
    assert (gauge(), told.causes[-1]) == (0, "")


def test_a_long_one_is_remembered(told: Told) -> None:
    """An hour is said six times at most, the last with the cause by then."""
    with capture_logs() as lines:
        told.tries(3600)
    assert [line["event"] for line in lines] == ["waiting"] + ["still waiting"] * int(3600 / REMIND_S - 1)
    assert lines[-1]["cause"] != lines[0]["cause"]


def test_one_that_comes_and_goes_is_one(told: Told) -> None:
    """A slow store takes every other batch for eight minutes: readiness follows, the log has one outage."""
    with capture_logs() as lines:
        for _ in range(80):
            told.tries(5)
            told.well(1)
        assert len(lines) == 1
        assert told.causes.count("") == 80
        told.well(CALM_S)
    assert [line["event"] for line in lines] == ["waiting", "going on"]
