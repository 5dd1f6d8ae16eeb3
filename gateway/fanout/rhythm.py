"""When a stream's windows leave: at once after a quiet moment, then so far apart that flushing leaves the loop room."""

#: Flushes take at most the reciprocal of this of the loop, up to the longest interval...
STRETCH = 1.4
#: ... and of this while many viewers are being brought forward: those who wait have waited longer.
STORM_STRETCH = 3.0
#: Counts that ride with no window take at most the reciprocal of this of the loop: when ten thousand come at once, each telling
#: of it costs 80 ms (at 8, a third of an arrival's system calls were writes of it to those who were there already). They wait
#: no longer than this, of the second that a change may take over all gateways.
COUNT_STRETCH = 20.0
COUNT_MAX_S = 0.4


class Rhythm:
    """Knows what flushes take; all times are seconds of one monotonic clock."""

    __slots__ = ("_counts_apart", "_interval", "_longest", "last")

    def __init__(self, shortest: float, longest: float) -> None:
        """Windows are *shortest* apart while flushes are cheap, and never more than *longest*."""
        self._interval = shortest
        self._longest = longest
        self._counts_apart = 0.0
        #: When the last flush began.
        self.last = float("-inf")

    @property
    def interval(self) -> float:
        """Seconds between two flushes that both have something to tell."""
        return self._interval

    def wait(self, now: float) -> float:
        """Seconds until a window may leave."""
        return max(0.0, self.last + self._interval - now)

    def count_wait(self, now: float) -> float:
        """Seconds until a viewer count may leave alone."""
        return max(0.0, self.last + self._counts_apart - now)

    def hurry(self) -> None:
        """Let the next window leave at once."""
        self.last = float("-inf")

    def flushed(self, now: float, shortest: float, *, storm: bool, left_over: bool) -> None:
        """Note that the flush that began at `last` is done.

        *shortest* is the interval in force. *storm*: many viewers are being brought forward. *left_over*: more was waiting
        than one window takes, the stream is behind and the next one follows at once.
        """
        took = now - self.last
        stretched = took * (STORM_STRETCH if storm else STRETCH)
        self._interval = 0.0 if left_over else max(shortest, min(stretched, self._longest))
        self._counts_apart = min(took * COUNT_STRETCH, COUNT_MAX_S)
