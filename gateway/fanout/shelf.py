"""What was read of the log for viewers that are further behind than the ring reaches, one range at a time."""

from collections.abc import Callable

from gateway.fanout.ring import Ring
from gateway.fanout.window import Window
from gateway.shown import Shown

#: What it holds at most (one read of the longest comments), and how many seconds after its last use.
SHELF_BYTES = 16 * 1024 * 1024
SHELF_S = 5.0


class Shelf:
    """Empty most of the time."""

    __slots__ = ("_ring", "_used")

    def __init__(self) -> None:
        self._ring: Ring | None = None
        self._used = 0.0

    @property
    def bytes(self) -> int:
        """Bytes held."""
        return self._ring.bytes if self._ring is not None else 0

    def put(self, windows: list[Window], now: float) -> None:
        """Hold *windows* instead of what was there."""
        self._ring, self._used = Ring(SHELF_BYTES, float("inf")), now
        self._ring.prepend(windows)

    def after(self, position: int, limit: int, now: float) -> list[Window] | None:
        """The next *limit* windows for somebody at *position*; `None` or empty when it does not cover it."""
        found = self._ring.after(position, limit) if self._ring is not None else None
        if found:
            self._used = now
        return found

    def rewrite(self, reason_of: Callable[[Shown], str | None]) -> None:
        """Apply the decisions known now."""
        if self._ring is not None:
            self._ring.rewrite(reason_of)

    def trim(self, now: float) -> None:
        """Let go of what nobody has used lately."""
        if now - self._used > SHELF_S:
            self._ring = None
