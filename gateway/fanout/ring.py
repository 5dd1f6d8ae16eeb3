"""The newest windows of a stream, bounded in bytes and age: what returning viewers are made whole from first."""

from collections import deque
from collections.abc import Callable
from itertools import islice

from gateway.fanout.window import Window
from gateway.shown import Shown


class Ring:
    """Windows in order, each one's `prev` the `to` of the one before."""

    def __init__(self, max_bytes: int, max_age_s: float) -> None:
        """At most *max_bytes*, and none older than *max_age_s* seconds when `trim` is called."""
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._windows: deque[Window] = deque()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def start(self) -> int | None:
        """The position before the oldest window; `None` when empty."""
        return self._windows[0].prev if self._windows else None

    def append(self, window: Window) -> None:
        """Add the newest window.

        Raises:
            ValueError: it does not follow the one before: a gap must never be served as a chain.
        """
        if self._windows and self._windows[-1].to != window.prev:
            msg = f"window {window.prev}-{window.to} does not follow {self._windows[-1].to}"
            raise ValueError(msg)
        self._windows.append(window)
        self.bytes += window.size
        while self.bytes > self._max_bytes and self._windows:
            self._drop()

    def trim(self, now: float) -> None:
        """Let go of what is too old at *now*."""
        while self._windows and now - self._windows[0].made_at > self._max_age_s:
            self._drop()

    def shed(self, size: int) -> int:
        """Let go of at least *size* bytes, oldest first, where there are as many; the bytes freed."""
        before = self.bytes
        while self._windows and before - self.bytes < size:
            self._drop()
        return before - self.bytes

    def after(self, position: int, limit: int) -> list[Window] | None:
        """The oldest *limit* windows that reach past *position*; `None` when the ring no longer covers it.

        The first one may begin before *position*: `Window.after` cuts it.
        """
        if not self._windows or position < self._windows[0].prev:
            return None
        first = 0
        for back, window in enumerate(reversed(self._windows)):
            if window.to <= position:
                first = len(self._windows) - back
                break
        return list(islice(self._windows, first, first + limit))

    def rewrite(self, reason_of: Callable[[Shown], str | None]) -> None:
        """Replace windows that hold a comment to hide."""
        for index, window in enumerate(self._windows):
            rewritten = window.rewritten(reason_of)
            if rewritten is not window:
                self._windows[index] = rewritten
                self.bytes += rewritten.size - window.size

    def _drop(self) -> None:
        self.bytes -= self._windows.popleft().size
