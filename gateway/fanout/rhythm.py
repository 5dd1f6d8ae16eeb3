"""When a stream's windows leave: at once after a quiet moment, then so far apart that flushing leaves the loop room.

A stream that was quiet has saved up some windows: comments of a few people seldom come alone, and without savings each that
comes soon after another waits nearly a whole interval for nobody's good. This is the generic cell rate algorithm (ITU-T I.371,
annex A) with a tolerance of `SAVED` intervals: a second never has more than `SAVED` windows above what the interval allows.
"""

#: Flushes take at most the reciprocal of this of the loop, up to the longest interval...
STRETCH = 1.4
#: ... of this while posts are in work when one is done: the next waits for these anyway, and for those who come meanwhile. In
#: turns with 1.4, 5,000 viewers and 1,000 posts/s: a median of 66 ms instead of 70, a p99 of 125 instead of 138.
POSTS_STRETCH = 1.6
#: ... and of this while more than this share of the viewers become live per second: those who wait have waited longer.
STORM_STRETCH = 3.0
STORM_SHARE = 0.05
#: A flush that takes longer has more than one slice.
LONG_S = 0.01
#: Windows that a quiet stream may send before the interval counts. Under 5 comments/s of Poisson arrivals 22 % come within 50
#: ms of another; 1.4 % have three others in the 100 ms before them.
SAVED = 2
#: Counts that ride with no window take at most the reciprocal of this of the loop: when ten thousand come at once, each telling
#: of it costs 80 ms (at 8, a third of an arrival's system calls were writes of it to those who were there already). They wait
#: no longer than this, of the second that a change may take over all gateways.
COUNT_STRETCH = 20.0
COUNT_MAX_S = 0.4


class Rhythm:
    """Knows what flushes take; all times are seconds of one monotonic clock."""

    __slots__ = ("_arrived", "_behind", "_counts_apart", "_due", "_interval", "_longest", "_room", "_since", "_took", "last")

    def __init__(self, shortest: float, longest: float) -> None:
        """Windows are *shortest* apart while flushes are cheap, and never more than *longest*."""
        self._interval = shortest
        self._longest = longest
        self._counts_apart = 0.0
        self._behind = False
        self._took = 0.0
        #: Viewers that became live since the last flush was done, and when that was.
        self._arrived, self._since = 0, 0.0
        #: Seconds from the beginning of the last flush in which the loop is somebody else's.
        self._room = 0.0
        #: When the next window would leave if nothing were saved.
        self._due = float("-inf")
        #: When the last flush began.
        self.last = float("-inf")

    @property
    def interval(self) -> float:
        """Seconds between two flushes of a stream that always has something to tell."""
        return 0.0 if self._behind else self._interval

    @property
    def long(self) -> bool:
        """Whether a flush takes longer than the loop is held at a time, as the last one did."""
        return self._took > LONG_S

    def wait(self, now: float) -> float:
        """Seconds until a window may leave."""
        if self._behind:
            return 0.0
        return max(0.0, self.last + self._room - now, self._due - SAVED * self._interval - now)

    def count_wait(self, now: float) -> float:
        """Seconds until a viewer count may leave alone."""
        return max(0.0, self.last + self._counts_apart - now)

    def hurry(self) -> None:
        """Let the next window leave at once."""
        self.last = self._due = float("-inf")

    def arrive(self) -> None:
        """Note a viewer that has become live."""
        self._arrived += 1

    def flushed(self, now: float, shortest: float, *, viewers: int, left_over: bool, posts: bool = False) -> None:
        """Note that the flush that began at `last` is done.

        *shortest* is the interval in force, *viewers* how many there are. *left_over*: more was waiting
        than one window takes, the stream is behind and the next one follows at once. *posts*: some are in work.
        """
        self._took = took = now - self.last
        storm = self._arrived > viewers * STORM_SHARE * (now - self._since)
        self._arrived, self._since = 0, now
        stretched = took * (STORM_STRETCH if storm else POSTS_STRETCH if posts else STRETCH)
        self._behind = left_over
        self._room = min(stretched, self._longest)
        self._interval = max(shortest, self._room)
        # A flush out of turn, or an interval that was longer a moment ago, keeps the next window no longer than an interval.
        self._due = min(max(self._due, self.last) + self._interval, self.last + (SAVED + 1) * self._interval)
        self._counts_apart = min(took * COUNT_STRETCH, COUNT_MAX_S)
