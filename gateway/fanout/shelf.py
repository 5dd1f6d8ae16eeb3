"""What was read of the log for viewers that are further behind than the ring reaches: a few ranges, which grow forward."""

from collections.abc import Callable

from gateway.fanout.ring import Ring
from gateway.fanout.window import Window
from gateway.shown import Shown

#: Ranges held at once. One is not enough for a storm: the live edge moves on while thousands are brought forward, and what
#: leads the first of them to it must not cost the others what they still need (10,000 viewers took 42 s instead of 6).
RANGES = 4
#: What one holds at most, and how many seconds after its last use. Of a read of the longest comments it is about the half.
RANGE_BYTES = 4 * 1024 * 1024
RANGE_S = 5.0


class Shelf:
    """Empty most of the time."""

    __slots__ = ("_ranges",)

    def __init__(self) -> None:
        #: With the time of its last use, the one that was used last at the end.
        self._ranges: list[tuple[Ring, float]] = []

    @property
    def bytes(self) -> int:
        """Bytes held."""
        return sum(ring.bytes for ring, _ in self._ranges)

    def put(self, windows: list[Window], now: float) -> None:
        """Hold *windows*: behind a range that they follow, else as one of their own instead of the one unused for longest.

        Of more than `RANGE_BYTES` the first: whoever waits needs those, and the rest is read again when it is.
        """
        found = next((n for n, (ring, _) in enumerate(self._ranges) if ring.end == windows[0].prev), None)
        if found is not None:
            ring, _ = self._ranges.pop(found)
        else:
            ring = Ring(RANGE_BYTES, float("inf"))
            del self._ranges[: max(0, len(self._ranges) - RANGES + 1)]
        room = RANGE_BYTES
        for window in windows:
            room -= window.size
            if room < 0:
                break
            ring.append(window)
        self._ranges.append((ring, now))

    def after(self, position: int, limit: int, now: float) -> list[Window] | None:
        """The next *limit* windows for somebody at *position*; `None` when no range leads on from it."""
        for n in reversed(range(len(self._ranges))):
            ring, _ = self._ranges[n]
            if found := ring.after(position, limit):
                del self._ranges[n]
                self._ranges.append((ring, now))
                return found
        return None

    def rewrite(self, reason_of: Callable[[Shown], str | None]) -> None:
        """Apply the decisions known now."""
        for ring, _ in self._ranges:
            ring.rewrite(reason_of)

    def trim(self, now: float) -> None:
        """Let go of what nobody has used lately."""
        self._ranges = [(ring, used) for ring, used in self._ranges if now - used <= RANGE_S]
