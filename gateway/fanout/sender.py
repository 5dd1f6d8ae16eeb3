"""Writes the same bytes to many sockets: the part that has to be near the physical limit (docs/adr/0007)."""

import asyncio
from array import array
from collections import deque
from collections.abc import Callable
from time import perf_counter

from gateway.fanout.lane import Roll
from gateway.fanout.viewer import Viewer
from gateway.fanout.writing import Writer

#: Descriptors written between two looks at the clock: about 1 ms. Of the largest, where they cannot be shared, 2 to 5.
STEP = 128
#: The loop is held no longer than about this; then whatever else is due has its turn. Not shorter: it comes to caches that
#: hundreds of sockets have swept.
SLICE_S = 0.009
#: Passes of the loop that a turn has: in one an answer is read, in the next whoever waited for it goes on and asks again.
PASSES = 2


class Sender:
    """Takes one flush at a time through its rolls, a slice of the loop's time after the other."""

    __slots__ = ("_done", "_next", "_on_short", "_parts", "_write_each", "busy")

    def __init__(self, write_each: Writer, on_short: Callable[[Viewer, int, bytes], None]) -> None:
        """*on_short* is given each viewer that did not take all, the bytes it took (-1: broken), and the data."""
        self._write_each = write_each
        self._on_short = on_short
        #: A roll, who was on it when the flush began, and their bytes.
        self._parts: deque[tuple[Roll, array[int], bytes]] = deque()
        self._next = 0
        self._done: Callable[[], None] | None = None
        self.busy = False

    def send(self, rolls: list[tuple[Roll, bytes]], done: Callable[[], None]) -> None:
        """Write to all who are on *rolls* now, then call *done*; whoever joins meanwhile is not written to."""
        self.busy = True
        self._done = done
        self._next = 0
        for roll, data in rolls:
            roll.gone.clear()
            self._parts.append((roll, array("i", roll.viewers), data))
        self._slices()

    def awaits(self, viewer: Viewer) -> bool:
        """Whether the flush on its way has yet to reach *viewer*."""
        for n, (roll, everyone, _) in enumerate(self._parts):
            if roll is viewer.roll:
                return viewer.fd not in roll.gone and viewer.fd in everyone[self._next if n == 0 else 0 :]
        return False

    def _yield(self, passes: int) -> None:
        soon = asyncio.get_running_loop().call_soon
        if passes > 1:
            soon(self._yield, passes - 1)
        else:
            soon(self._slices)

    def _slices(self) -> None:
        try:
            self._slice()
        except BaseException:
            # Whoever was not reached finds the chain broken and comes back; nothing would ever be flushed again otherwise.
            self._parts.clear()
            self._end()
            raise

    def _slice(self) -> None:
        until = perf_counter() + SLICE_S
        while self._parts:
            roll, everyone, data = self._parts[0]
            fds = everyone[self._next : self._next + STEP]
            self._next += STEP
            if roll.gone:
                fds = array("i", [fd for fd in fds if fd not in roll.gone])
            for fd, took in self._write_each(fds, data):
                self._on_short(roll.viewers[fd], took, data)
            if self._next >= len(everyone):
                self._parts.popleft()
                self._next = 0
            if perf_counter() > until and self._parts:
                self._yield(PASSES)
                return
        self._end()

    def _end(self) -> None:
        self.busy = False
        if self._done is not None:
            self._done()
