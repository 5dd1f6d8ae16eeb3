"""Where parts and segments end: pure decisions, made before each picture (or frame of sound, where there is no picture).

The passthrough decides; the transcoded renditions follow its marks, so that segment n is the same stretch of time in all.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

#: What a segment is meant to last; 10 % under a second because timestamps are rounded to milliseconds.
ENOUGH_MS = 900
#: The longest a first segment may become, and with it the greatest target duration.
LONGEST_MS = 10_000
#: A picture this close to a mark is the one that was marked: less than half a picture at 60 per second.
NEAR_MS = 8
#: Marks that are kept: a rendition further behind than that was dropped long ago.
_MARKS = 64


class Edge(Enum):
    """What ends before a picture."""

    NONE = auto()
    PART = auto()
    SEGMENT = auto()


class Marks:
    """When each segment of a run begins, as shown, in ms."""

    def __init__(self) -> None:
        self.starts: dict[int, int] = {}

    @property
    def newest(self) -> int:
        """The number of the newest segment; -1 before the first."""
        return next(reversed(self.starts), -1)

    def add(self, start_ms: int) -> int:
        """The next segment begins at *start_ms*; returns its number."""
        number = self.newest + 1
        self.starts[number] = start_ms
        self.starts.pop(number - _MARKS, None)
        return number

    def covering(self, shown_ms: int) -> int:
        """The segment that a picture shown at *shown_ms* belongs to; -1 when it lies before all that are known."""
        return max((number for number, start in self.starts.items() if start <= shown_ms + NEAR_MS), default=-1)


class Pace:
    """How long parts last: free until the first playlist has announced a target, and never above it afterwards."""

    def __init__(self, wanted_ms: int, limit_ms: int | None = None) -> None:
        """*wanted_ms* is rounded to whole pictures; *limit_ms* is what an earlier process announced."""
        self.limit_ms = limit_ms
        self._wanted_ms = wanted_ms
        self._full: list[int] = []

    def is_full(self, lasts_ms: int, frame_ms: float) -> bool:
        """Whether a part of *lasts_ms* ends before another picture of *frame_ms*."""
        if self.limit_ms is None:
            return lasts_ms + frame_ms / 2 > self._wanted_ms
        return lasts_ms + frame_ms > self.limit_ms + 0.5

    def bursts(self, lasts_ms: int) -> bool:
        """Whether a part of *lasts_ms* is longer than announced."""
        return self.limit_ms is not None and lasts_ms > self.limit_ms

    def note(self, lasts_ms: int) -> None:
        """A part became full with *lasts_ms*."""
        if self.limit_ms is None:
            self._full = [*self._full[-49:], lasts_ms]

    def settle(self) -> int:
        """Fix the target: the longest part so far, and room for timestamps that jitter."""
        if self.limit_ms is None:
            longest, shortest = max(self._full, default=self._wanted_ms), min(self._full, default=self._wanted_ms)
            self.limit_ms = max(1, longest + min(longest - shortest, longest // 10))
        return self.limit_ms


class Edges(Protocol):
    """One rendition's edges in one run. Times are in ms; *at* is decoding time, *shown* when it is shown."""

    segment: int

    def begins(self, at: int, shown: int, *, key: bool) -> bool:
        """Whether the run can begin with this picture; if so it has begun."""

    def bursts(self, at: int) -> Edge:
        """What has to end before the picture *before* this one, because that one lasts too long."""

    def before(self, at: int, shown: int, *, key: bool) -> Edge:
        """What ends before this picture."""

    def cut(self, at: int, edge: Edge) -> None:
        """*edge* is made at *at*."""


class _Counted:
    """What both kinds count."""

    def __init__(self, pace: Pace) -> None:
        self.segment = -1
        self._pace = pace
        self._part_start = 0
        self._first = 0
        self._pictures = 0
        self._frame_ms = 0.0

    def _start(self, at: int) -> None:
        self._part_start = self._first = at
        self._pictures = 0

    def _count(self, at: int) -> None:
        self._pictures += 1
        self._frame_ms = (at - self._first) / self._pictures

    def _part_ends(self, at: int) -> bool:
        return self._pace.is_full(at - self._part_start, self._frame_ms)


class SourceEdges(_Counted):
    """The passthrough's: a segment begins at a keyframe wherever it can, and is about a second or a group long."""

    def __init__(self, marks: Marks, pace: Pace, longest_ms: Callable[[], int], *, pictured: bool) -> None:
        """*longest_ms* says how long a segment may last now; *pictured*: there are pictures, not sound alone."""
        super().__init__(pace)
        self._marks = marks
        self._longest_ms = longest_ms
        self._pictured = pictured
        self._shift = 0
        self._mark = 0
        self._segment_start = 0
        self._group_start = 0
        self._longest_group = 0

    def begins(self, at: int, shown: int, *, key: bool) -> bool:
        """A keyframe begins it."""
        if key:
            self._start(at)
            self._shift = shown - at
            self._segment_start = self._group_start = at
            self.segment = self._marks.add(shown)
        return key

    def bursts(self, at: int) -> Edge:
        """The part, or even the segment, without the picture before *at*."""
        if at - self._segment_start > self._longest_ms():
            return Edge.SEGMENT
        return Edge.PART if self._pace.bursts(at - self._part_start) else Edge.NONE

    def before(self, at: int, shown: int, *, key: bool) -> Edge:
        """A keyframe after enough; or any picture, where the keyframes are further apart than was announced."""
        self._count(at)
        # In an open group pictures that are shown before the keyframe follow it; transcoded renditions begin with it.
        self._mark = shown if key else at + self._shift
        lasts, longest = at - self._segment_start, self._longest_ms()
        part_ends = self._part_ends(at)
        if lasts + self._frame_ms > longest:
            return Edge.SEGMENT
        if key and self._pictured:
            self._longest_group = max(self._longest_group, at - self._group_start)
            self._group_start = at
            # Long enough, or too long once another group as long as the longest so far is added.
            return Edge.SEGMENT if lasts >= ENOUGH_MS or lasts + self._longest_group > longest else self._part(part_ends)
        if not self._pictured and part_ends and lasts >= ENOUGH_MS:
            return Edge.SEGMENT
        return self._part(part_ends)

    @staticmethod
    def _part(ends: bool) -> Edge:  # noqa: FBT001 - the one thing it says
        return Edge.PART if ends else Edge.NONE

    def cut(self, at: int, edge: Edge) -> None:
        """Note the mark that the other renditions follow."""
        if self._part_ends(at):
            self._pace.note(at - self._part_start)
        self._part_start = at
        if edge is Edge.SEGMENT:
            self._segment_start = at
            self.segment = self._marks.add(self._mark)


class RungEdges(_Counted):
    """A transcoded rendition's: segments end where the passthrough's did."""

    def __init__(self, marks: Marks, pace: Pace) -> None:
        super().__init__(pace)
        self._marks = marks
        self._following = -1

    def begins(self, at: int, shown: int, *, key: bool) -> bool:
        """With the picture that a segment of the passthrough begins with."""
        number = self._marks.covering(shown)
        if not key or number < 0 or abs(self._marks.starts[number] - shown) > NEAR_MS:
            return False
        self._start(at)
        self.segment = number
        return True

    def bursts(self, at: int) -> Edge:
        """The part without the picture before *at*."""
        return Edge.PART if self._pace.bursts(at - self._part_start) else Edge.NONE

    def before(self, at: int, shown: int, *, key: bool) -> Edge:  # noqa: ARG002 - the marks say where keyframes are
        """What the marks say, else the part when it is full."""
        self._count(at)
        self._following = self._marks.covering(shown)
        if self._following > self.segment:
            return Edge.SEGMENT
        return Edge.PART if self._part_ends(at) else Edge.NONE

    def cut(self, at: int, edge: Edge) -> None:
        """Go on in the segment of the picture that follows."""
        self._part_start = at
        if edge is Edge.SEGMENT:
            self.segment = self._following
