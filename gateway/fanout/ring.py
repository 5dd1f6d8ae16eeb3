"""The newest windows of a stream, bounded in bytes and age: what returning viewers are made whole from first."""

from bisect import bisect_right
from collections.abc import Callable, Sequence

from gateway.fanout.window import Window
from gateway.shown import Shown

#: Dropped windows are cut off the list in one go: one at a time would move the whole list each time.
_COMPACT = 64


class Ring:
    """Windows in order, each one's `prev` the `to` of the one before."""

    __slots__ = ("_first", "_max_age_s", "_max_bytes", "_tos", "_windows", "bytes")

    def __init__(self, max_bytes: int, max_age_s: float) -> None:
        """At most *max_bytes*, and none older than *max_age_s* seconds when `trim` is called."""
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._windows: list[Window] = []
        #: Each window's `to`, for the search.
        self._tos: list[int] = []
        self._first = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._windows) - self._first

    @property
    def start(self) -> int | None:
        """The position before the oldest window; `None` when empty."""
        return self._windows[self._first].prev if len(self) else None

    @property
    def end(self) -> int | None:
        """The `to` of the newest window; `None` when empty."""
        return self._windows[-1].to if len(self) else None

    def append(self, window: Window) -> None:
        """Add the newest window.

        Raises:
            ValueError: it does not follow the one before: a gap must never be served as a chain.
        """
        if self.end not in (None, window.prev):
            msg = f"window {window.prev}-{window.to} does not follow {self.end}"
            raise ValueError(msg)
        self._windows.append(window)
        self._tos.append(window.to)
        self.bytes += window.size
        while self.bytes > self._max_bytes and len(self):
            self._drop()
        self._compact()

    def has_room(self, windows: Sequence[Window]) -> bool:
        """Whether all of *windows* fit beside what is there."""
        return self.bytes + sum(window.size for window in windows) <= self._max_bytes

    def prepend(self, windows: Sequence[Window]) -> None:
        """Add older windows, in order, that end where the ring begins; as many of the newest as there is room for.

        Raises:
            ValueError: they do not chain, or do not end there.
        """
        fitting: list[Window] = []
        for window in reversed(windows):
            expected = fitting[-1].prev if fitting else self.start
            if expected is not None and window.to != expected:
                msg = f"window {window.prev}-{window.to} does not end at {expected}"
                raise ValueError(msg)
            if self.bytes + window.size > self._max_bytes:
                break
            self.bytes += window.size
            fitting.append(window)
        fitting.reverse()
        self._windows[: self._first] = fitting
        self._tos[: self._first] = [window.to for window in fitting]
        self._first = 0

    def trim(self, now: float) -> None:
        """Let go of what is too old at *now*."""
        while len(self) and now - self._windows[self._first].made_at > self._max_age_s:
            self._drop()
        self._compact()

    def shed(self, size: int) -> int:
        """Let go of at least *size* bytes, oldest first, where there are as many; the bytes freed."""
        before = self.bytes
        while len(self) and before - self.bytes < size:
            self._drop()
        self._compact()
        return before - self.bytes

    def after(self, position: int, limit: int) -> list[Window] | None:
        """The oldest *limit* windows that reach past *position*; `None` when the ring no longer covers it.

        The first one may begin before *position*: `Window.after` cuts it.
        """
        if not len(self) or position < self._windows[self._first].prev:
            return None
        first = bisect_right(self._tos, position, self._first)
        return self._windows[first : first + limit]

    def rewrite(self, reason_of: Callable[[Shown], str | None]) -> None:
        """Replace windows that hold a comment to hide."""
        for index in range(self._first, len(self._windows)):
            window = self._windows[index]
            rewritten = window.rewritten(reason_of)
            if rewritten is not window:
                self._windows[index] = rewritten
                self.bytes += rewritten.size - window.size

    def _drop(self) -> None:
        self.bytes -= self._windows[self._first].size
        self._first += 1

    def _compact(self) -> None:
        if self._first >= _COMPACT or not len(self):
            del self._windows[: self._first]
            del self._tos[: self._first]
            self._first = 0
