"""Fragments to segments: pure, so that every odd rhythm of keyframes can be tried.

ffmpeg delivers fragments of at most half a second, never across a keyframe. A segment is about one second and begins at
a keyframe wherever it can. It never lasts longer than the playlist's target duration allows: there the encoder's
keyframes are further apart than they were, and the segment is cut without one.
"""

from collections.abc import Callable
from typing import NamedTuple

#: What a segment is meant to last; 10 % under a second because timestamps are rounded to milliseconds.
ENOUGH_S = 0.9
#: The longest a first segment may become, and with it the greatest target duration.
LONGEST_S = 10.0


class Fragment(NamedTuple):
    """*start* and *duration* in seconds of media time; *independent*: begins with a keyframe; *data*: moof and mdat."""

    start: float
    duration: float
    pictures: int
    independent: bool
    data: bytes


class Segment(NamedTuple):
    """Fragments that are published together."""

    start: float
    duration: float
    pictures: int
    independent: bool
    data: bytes


class Cutter:
    """Holds the segment that is being filled: at most `LONGEST_S` of one encoder's media."""

    def __init__(self, longest: Callable[[], float]) -> None:
        """*longest* says how many seconds a segment may last now."""
        self._longest = longest
        self._pending: list[Fragment] = []
        self._group = 0.0
        self._longest_group = 0.0

    def add(self, fragment: Fragment, *, group_ends: bool) -> list[Segment]:
        """Take the next fragment and return the segments that are complete now (at most two).

        *group_ends* says that a keyframe is known to follow, which saves waiting for the next fragment to see it.
        """
        done: list[Segment] = []
        if fragment.independent:
            self._group = 0.0
        if self._pending and (self._bursts(fragment) or (fragment.independent and self._is_full())):
            done.append(self._cut())
        self._pending.append(fragment)
        self._group += fragment.duration
        self._longest_group = max(self._longest_group, self._group)
        if group_ends and self._is_full():
            done.append(self._cut())
        return done

    def flush(self) -> list[Segment]:
        """The rest, at the end of the run."""
        return [self._cut()] if self._pending else []

    def _lasts(self) -> float:
        return sum(fragment.duration for fragment in self._pending)

    def _bursts(self, fragment: Fragment) -> bool:
        return self._lasts() + fragment.duration > self._longest()

    def _is_full(self) -> bool:
        # Long enough, or too long once another group as long as the longest so far is added.
        lasts = self._lasts()
        return lasts >= ENOUGH_S or lasts + self._longest_group > self._longest()

    def _cut(self) -> Segment:
        parts, self._pending = self._pending, []
        return Segment(
            start=parts[0].start,
            duration=sum(part.duration for part in parts),
            pictures=sum(part.pictures for part in parts),
            independent=parts[0].independent,
            data=b"".join(part.data for part in parts),
        )
