"""Whose turn is when: a heap of moments. Pure."""

import heapq
import itertools
from typing import Generic, Protocol, TypeVar


class Cued(Protocol):
    """Somebody who waits for a moment: `cue` is it, by a monotonic clock; `None` while waiting for none."""

    cue: float | None


V = TypeVar("V", bound=Cued)


class Cues(Generic[V]):
    """At most one moment each; a new one takes the place of the old."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, V]] = []
        self._order = itertools.count()

    def put(self, waiting: V, at: float) -> None:
        """*waiting*'s turn is at *at*."""
        waiting.cue = at
        heapq.heappush(self._heap, (at, next(self._order), waiting))

    def drop(self, waiting: V) -> None:
        """*waiting* waits for nothing any more."""
        waiting.cue = None

    def due(self, now: float) -> V | None:
        """Somebody whose moment has come, the one due longest first; that moment is over with this."""
        while self._heap and self._heap[0][0] <= now:
            at, _, waiting = heapq.heappop(self._heap)
            if waiting.cue == at:
                waiting.cue = None
                return waiting
        return None

    def next(self) -> float | None:
        """The next moment there is."""
        while self._heap and self._heap[0][2].cue != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
