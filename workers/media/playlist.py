"""One rendition's media playlist (RFC 8216bis), as a value: open, add, close, trim. `m3u8.py` writes and reads its text.

The media sequence, dates and discontinuities run on when the encoder, a transcoder or this worker is started anew:

* the target duration never changes and no segment, rounded, exceeds it (4.4.3.1, 6.2.1);
* a segment keeps its media sequence and discontinuity numbers for life (6.2.2); renditions share both;
* segments leave only from the front, and never below three target durations (6.2.2).

All durations and dates are whole milliseconds, so that the parts of a segment add up to it exactly.
"""

from collections import deque
from collections.abc import Iterator

from msgspec import Struct

#: Segments in the playlist. With 1 s segments a player that lost the network for 9 s finds its place again.
WINDOW = 10


class PartEntry(Struct, frozen=True):
    """One part: *number* runs on through the whole rendition; *gap*: there is nothing to fetch."""

    number: int
    duration_ms: int
    independent: bool
    gap: bool = False

    @property
    def uri(self) -> str:
        """Its name, never used twice."""
        return part_uri(self.number)


class Entry(Struct):
    """One segment; *discontinuity* is counted from the first one ever, *gap*: there is nothing to fetch."""

    uri: str
    duration_ms: int
    date_ms: int
    discontinuity: int
    map_uri: str
    gap: bool = False
    complete: bool = True
    parts: list[PartEntry] = []

    @property
    def end_ms(self) -> int:
        """Wall time at which it ends."""
        return self.date_ms + self.duration_ms


def part_uri(number: int) -> str:
    """The name of a part."""
    return f"part-{number}.m4s"


class Playlist:
    """The segments of one rendition that players are told of; at most the newest is not complete."""

    def __init__(self, target: int, sequence: int = 0) -> None:
        self.target = target
        self.sequence = sequence
        self.independent = True
        self.ended = False
        self.entries: deque[Entry] = deque()

    @property
    def following(self) -> int:
        """The media sequence number of the segment after the newest."""
        return self.sequence + len(self.entries)

    @property
    def opened(self) -> Entry | None:
        """The segment that is being filled."""
        newest = self.entries[-1] if self.entries else None
        return newest if newest is not None and not newest.complete else None

    @property
    def end_ms(self) -> int:
        """Wall time up to which there is something; 0 where there is nothing."""
        return self.entries[-1].end_ms if self.entries else 0

    def append(self, entry: Entry, *, independent: bool) -> None:
        """Add the newest segment; one without a keyframe at its start ends EXT-X-INDEPENDENT-SEGMENTS for good."""
        self.independent = self.independent and independent
        self.entries.append(entry)

    def trim(self, stale_ms: int) -> Iterator[Entry]:
        """Drop what left the window, or ended over *stale_ms* before the newest segment (from before an outage)."""
        lasts = sum(entry.duration_ms for entry in self.entries if entry.complete)
        while self.entries:
            oldest = self.entries[0]
            stale = self.entries[-1].date_ms - oldest.end_ms > stale_ms
            lasts -= oldest.duration_ms
            if not (stale or len(self.entries) > WINDOW) or lasts < 3000 * self.target:
                return
            self.entries.popleft()
            self.sequence += 1
            yield oldest

    def reaches(self, msn: int, part: int | None) -> bool:
        """Whether segment *msn* is complete, or its *part* (counted from 0) is there (6.2.5.2)."""
        if self.ended or msn < self.following - 1:
            return True
        if msn >= self.following:
            return False
        newest = self.entries[-1]
        # A part beyond a complete segment's last means the first one of the segment that follows.
        return part < len(newest.parts) if part is not None else newest.complete

    def position(self) -> tuple[int, int] | None:
        """Media sequence number and part of the newest part, as other renditions report it."""
        if not self.entries:
            return None
        return self.following - 1, max(0, len(self.entries[-1].parts) - 1)
