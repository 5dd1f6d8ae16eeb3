"""Time as a dependency. Wall time stamps what people see; monotonic time measures what we wait for."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where a part that needs the time gets it."""

    def now_ms(self) -> int:
        """Wall time in milliseconds since the epoch; may step."""

    def monotonic(self) -> float:
        """Seconds that never step back."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Wall time in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds since some point, never back."""
        return time.monotonic()


class HandClock:
    """A clock that stands still until it is moved, for tests of anything that waits or expires."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = float(now_ms)
        self._monotonic = 0.0

    def now_ms(self) -> int:
        """The hand's position."""
        return int(self._now_ms)

    def monotonic(self) -> float:
        """Seconds moved forward so far; `step` leaves it alone."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass on both clocks."""
        self._now_ms += seconds * 1000
        self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Step the wall clock alone, as NTP or an operator does."""
        self._now_ms += seconds * 1000
