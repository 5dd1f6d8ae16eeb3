"""When posts begin: between flushes, where those take long.

A flush to thousands of viewers sweeps the processor's caches, and whatever runs between two of its slices finds them cold: a
third of what a post cost beside 5,000 viewers (docs/adr/0007). So what is posted over HTTP while a long flush is under way
is not even read until that is done. Then all of it begins together, and what comes afterwards gathers for some milliseconds:
posts that go the same way at the same time share reads, writes and questions. The next flush waits a moment for all that have
begun.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from msgspec import Struct

#: How long a post waits at most: flushes take up to a quarter of a second, and those of several streams may follow each other.
#: Longer than `SETTLE_S` and a flush of full windows to 10,000 viewers, 0.2 s.
MOST_S = 0.25
#: How long a flush waits for posts: for four answers of the broker and the store, a few milliseconds each, and, on a slow
#: core, for forty milliseconds of its own work. What misses a flush waits for another one whole.
SETTLE_S = 0.05
#: Posts that come between two long flushes begin so far apart, and at once when the last one is longer ago than the second.
GATHER_S = 0.006
RECENT_S = 0.25

#: Begins a post, which calls what it is given when it is done; neither raises.
Post = Callable[[Callable[[], None]], None]
#: Reads what may be a post, which then enters; does not raise.
Read = Callable[[], None]


class _Begun(Struct):
    """Posts that have begun since a flush last waited in vain: how many of them are not done."""

    left: int = 0


class Recess:
    """Of one gateway. What waits is bounded by its connections, each of which has one request in work, and by its audiences."""

    def __init__(self) -> None:
        self._flushes = 0
        #: When the last long flush was done, and until when posts gather. Where no flush is long nobody looks at the clock.
        self._flushed: float | None = None
        self._gathering_until: float | None = None
        self._posts: list[Post] = []
        self._reads: list[Read] = []
        self._admitting = False
        self._due: list[Callable[[], None]] = []
        #: Those whom the next flush waits for.
        self._begun = _Begun()
        self._let_in: asyncio.TimerHandle | None = None
        self._settled: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """Whether a post that comes now begins now."""
        return self._admitting or not (self._flushes or (self._gathering_until is not None and _now() < self._gathering_until))

    @property
    def busy(self) -> bool:
        """Whether posts are in work that a flush would wait for."""
        return bool(self._begun.left)

    def end(self, flush: Callable[[], None]) -> None:
        """A long flush is due: no post begins from here on. Whoever gives *flush* calls `begin` after it.

        It is called when those are done that have begun, and after `SETTLE_S` all the same.
        """
        self._flushes += 1
        if self._let_in is not None and self._flushes == 1:
            # What gathers begins after it.
            self._let_in.cancel()
            self._let_in = None
            self._wait()
        if not self._begun.left:
            flush()
            return
        self._due.append(flush)
        if self._settled is None:
            self._settled = asyncio.get_running_loop().call_later(SETTLE_S, self._settle)

    def begin(self) -> None:
        """A long flush is done."""
        self._flushes -= 1
        if not self._flushes:
            self._flushed = _now()
            self._admit()

    def enter(self, post: Post) -> None:
        """Begin *post* now or, where a long flush is due or under way or posts gather, with others.

        `MOST_S` from now at the latest, and `GATHER_S` more.
        """
        if self.open:
            self._let(post)
            self._gather()
            return
        self._posts.append(post)
        self._wait()

    def hold(self, read: Read) -> None:
        """Call *read* when posts begin: those that enter from within it begin at once."""
        self._reads.append(read)
        self._wait()

    def _wait(self) -> None:
        if self._let_in is None:
            wait = MOST_S if self._flushes or self._gathering_until is None else self._gathering_until - _now()
            self._let_in = asyncio.get_running_loop().call_later(max(0.0, wait), self._admit)

    def _gather(self) -> None:
        if self._flushed is None:
            return
        now = _now()
        if now - self._flushed < RECENT_S:
            self._gathering_until = now + GATHER_S
        else:
            self._flushed = self._gathering_until = None

    def _admit(self) -> None:
        if self._let_in is not None:
            self._let_in.cancel()
            self._let_in = None
        posts, self._posts = self._posts, []
        reads, self._reads = self._reads, []
        for post in posts:
            self._let(post)
        self._admitting = True
        try:
            for read in reads:
                read()
        finally:
            self._admitting = False
        if posts or reads:
            self._gather()

    def _let(self, post: Post) -> None:
        self._begun.left += 1
        post(partial(self._leave, self._begun))

    def _leave(self, begun: _Begun) -> None:
        begun.left -= 1
        if begun is self._begun and not begun.left and self._settled is not None:
            self._settled.cancel()
            # Not within what the post was the last act of.
            self._settled = asyncio.get_running_loop().call_later(0, self._settle)

    def _settle(self) -> None:
        self._settled = None
        # One that hangs is waited for once, also where a flush is always under way.
        self._begun = _Begun()
        due, self._due = self._due, []
        for flush in due:
            asyncio.get_running_loop().call_soon(flush)


def _now() -> float:
    return asyncio.get_running_loop().time()
