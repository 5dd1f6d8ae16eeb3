"""Recorded time against this process's clock. Pure.

Every moment is computed from the same beginning: what one timer is late by is never added to the next, so that a replay does
not drift, however long it is.
"""

from msgspec import Struct


class Timeline(Struct, frozen=True):
    """At `began` (seconds of a monotonic clock) the recorded time is `from_ms`, and passes `speed` times as fast."""

    began: float
    from_ms: int
    speed: float

    def due(self, at_ms: int) -> float:
        """When the recorded time *at_ms* is reached, by the monotonic clock."""
        return self.began + (at_ms - self.from_ms) / (1000 * self.speed)
