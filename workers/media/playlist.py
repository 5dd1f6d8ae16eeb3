"""One rendition's media playlist (RFC 8216), as a value: append, trim, render, and read back after a restart.

The public playlist is ours and not ffmpeg's: its media sequence, its dates and its discontinuities run on when ffmpeg,
the encoder or this worker is started anew. What the RFC asks of a live playlist is kept here:

* the target duration never changes and no segment, rounded, exceeds it (4.3.3.1, 6.2.1);
* a segment keeps its media sequence and discontinuity numbers for life (6.2.2); renditions share the latter (6.2.4);
* segments leave only from the front, and never below three target durations (6.2.2).
"""

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from msgspec import Struct

from schemas.times import parse_rfc3339, rfc3339

VERSION = 7
#: Segments in the playlist. With 1 s segments a player that lost the network for 9 s finds its place again.
WINDOW = 10


class Entry(Struct, frozen=True):
    """One segment: *duration* in seconds, *date_ms* its wall time, *discontinuity* counted from the first one ever."""

    uri: str
    duration: float
    date_ms: int
    discontinuity: int
    map_uri: str

    @property
    def end_ms(self) -> int:
        """Wall time at which it ends."""
        return self.date_ms + round(self.duration * 1000)


class Playlist:
    """The segments of one rendition that players are told of."""

    def __init__(self, target: int, sequence: int = 0) -> None:
        self.target = target
        self.sequence = sequence
        self.independent = True
        self.ended = False
        self.entries: deque[Entry] = deque()

    def append(self, entry: Entry, *, independent: bool) -> None:
        """Add the newest segment; one without a keyframe at its start ends EXT-X-INDEPENDENT-SEGMENTS for good."""
        self.independent = self.independent and independent
        self.entries.append(entry)

    def trim(self, stale_ms: int) -> Iterator[Entry]:
        """Drop what left the window, or ended over *stale_ms* before the newest segment (from before an outage)."""
        lasts = sum(entry.duration for entry in self.entries)
        while self.entries:
            oldest = self.entries[0]
            stale = self.entries[-1].date_ms - oldest.end_ms > stale_ms
            lasts -= oldest.duration
            if not (stale or len(self.entries) > WINDOW) or lasts < 3 * self.target:
                return
            self.entries.popleft()
            self.sequence += 1
            yield oldest

    def render(self) -> str:
        """The text of the file."""
        first = self.entries[0].discontinuity if self.entries else 0
        lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", f"#EXT-X-TARGETDURATION:{self.target}"]
        lines += [f"#EXT-X-MEDIA-SEQUENCE:{self.sequence}", f"#EXT-X-DISCONTINUITY-SEQUENCE:{first}"]
        if self.independent:
            lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
        number, map_uri = first, ""
        for entry in self.entries:
            lines += ["#EXT-X-DISCONTINUITY"] * (entry.discontinuity - number)
            number = entry.discontinuity
            if entry.map_uri != map_uri:
                map_uri = entry.map_uri
                lines.append(f'#EXT-X-MAP:URI="{map_uri}"')
            lines += [f"#EXT-X-PROGRAM-DATE-TIME:{rfc3339(entry.date_ms)}", f"#EXTINF:{entry.duration:.3f},", entry.uri]
        if self.ended:
            lines.append("#EXT-X-ENDLIST")
        return "\n".join(lines) + "\n"


def parse(text: str) -> Playlist:
    """Read back what `render` wrote.

    Raises:
        ValueError: it was not written by this version's `render`.
    """
    seen: dict[str, str] = {}
    entries: list[Entry] = []
    breaks = 0
    try:
        for line in text.splitlines():
            tag, _, value = line.partition(":")
            if line.startswith("#"):
                seen[tag] = value
                breaks += tag == "#EXT-X-DISCONTINUITY"
            elif line:
                entries.append(_entry(line, breaks, seen))
        playlist = Playlist(int(seen["#EXT-X-TARGETDURATION"]), int(seen["#EXT-X-MEDIA-SEQUENCE"]))
    except KeyError as error:
        msg = f"no {error}"
        raise ValueError(msg) from error
    playlist.entries.extend(entries)
    playlist.independent = "#EXT-X-INDEPENDENT-SEGMENTS" in seen
    playlist.ended = "#EXT-X-ENDLIST" in seen
    return playlist


def _entry(uri: str, breaks: int, seen: Mapping[str, str]) -> Entry:
    """One segment from the tags before it. Names only: nothing read here may ever delete a file elsewhere."""
    map_uri = seen["#EXT-X-MAP"].removeprefix('URI="').removesuffix('"')
    return Entry(
        uri=PurePosixPath(uri).name,
        duration=float(seen["#EXTINF"].rstrip(",")),
        date_ms=parse_rfc3339(seen["#EXT-X-PROGRAM-DATE-TIME"]),
        discontinuity=int(seen["#EXT-X-DISCONTINUITY-SEQUENCE"]) + breaks,
        map_uri=PurePosixPath(map_uri).name,
    )
