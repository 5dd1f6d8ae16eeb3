"""One rendition as players see it now: its playlist, the parts that can still be fetched, and who waits for the next.

Everything here is in memory and on the event loop; `shelf.py` has the files. What is held is bounded: the parts of the
segments within three target durations of the end, and `SPARE` segments more for players that are late.
"""

import asyncio
from collections.abc import Callable, Sequence

from workers.media import m3u8
from workers.media.cmaf.edges import Pace
from workers.media.cmaf.writer import Part
from workers.media.m3u8 import Live, Report
from workers.media.playlist import Entry, PartEntry, Playlist, part_uri

#: Segments kept in memory beyond those whose parts are listed.
SPARE = 3
#: A gap is told in parts no longer than the part target; a segment is never longer than this many of them.
_MOST_GAPS = 100
#: What a gap between two runs lasts: less than any player takes for a hole.
BRIDGE_MS = 33


class Late(Exception):
    """What was asked for did not come in time; asking again is right."""


class Impossible(Exception):
    """What was asked for makes no sense (6.2.5.2: 400)."""


class Rendition:
    """Numbers of parts begin at *first_part* and are never used again."""

    def __init__(self, name: str, playlist: Playlist, first_part: int, pace: Pace) -> None:
        self.name = name
        self.playlist = playlist
        self.following = first_part
        self.map_uri = playlist.entries[-1].map_uri if playlist.entries else ""
        self.listed = False
        self.down = False
        self._pace = pace
        self._inits: dict[str, bytes] = {}
        self._parts: dict[str, bytes] = {}
        self._segments: dict[str, list[bytes]] = {}
        self._changed = asyncio.Event()
        self._texts: dict[bool, bytes] = {}

    def describe(self, uri: str, data: bytes) -> None:
        """The segments that follow have this initialisation segment."""
        self.map_uri = uri
        self._inits[uri] = data

    def open(self, uri: str, date_ms: int, discontinuity: int, *, independent: bool) -> None:
        """Begin the next segment; players see it with its first part."""
        self.playlist.append(
            Entry(uri, 0, date_ms, discontinuity, self.map_uri, complete=False, parts=[]), independent=independent
        )
        self._segments[uri] = []

    def add(self, part: Part) -> None:
        """Add *part* to the open segment."""
        entry = self.playlist.entries[-1]
        entry.parts.append(PartEntry(self.following, part.duration_ms, part.independent))
        entry.duration_ms += part.duration_ms
        self._parts[part_uri(self.following)] = part.data
        self._segments[entry.uri].append(part.data)
        self.following += 1

    def close(self) -> tuple[Entry, bytes]:
        """The open segment is complete; returns it with its bytes."""
        entry = self.playlist.entries[-1]
        entry.complete = True
        return entry, b"".join(self._segments[entry.uri])

    def fill(self, like: Entry) -> None:
        """There is nothing of the segment that *like* is in the passthrough, or only its beginning: say so (4.4.4.7)."""
        entry = self.playlist.opened
        if entry is None:
            last = self.playlist.entries[-1] if self.playlist.entries else None
            # The run after this one may be known already: its map begins with its discontinuity.
            map_uri = last.map_uri if last is not None and last.discontinuity == like.discontinuity else self.map_uri
            entry = Entry(like.uri, 0, like.date_ms, like.discontinuity, map_uri, gap=True, complete=False, parts=[])
            self.playlist.append(entry, independent=True)
        lost = like.duration_ms - entry.duration_ms
        for _ in range(_MOST_GAPS):
            if lost <= 0:
                break
            # Named, as the text requires it, by a number that is spent for it.
            piece = min(lost, self._pace.settle())
            entry.parts.append(PartEntry(self.following, piece, independent=False, gap=True))
            self.following += 1
            lost -= piece
        entry.duration_ms = max(entry.duration_ms, like.duration_ms)
        entry.gap = entry.complete = True
        self._segments.pop(entry.uri, None)

    def bridge(self, until_ms: int) -> None:
        """Nothing was sent up to *until_ms*: a gap that ends then, still of the discontinuity before.

        The date jumps before it and not behind it, for Shaka takes a jump at a discontinuity out of its timeline while its live
        edge goes on with the wall clock: it threw away what it had, waited 17 s for its window to come by, and then stayed
        behind. Players that do not know gaps (video.js) ask for it, and get the last part once more, which changes nothing.
        """
        last = self.playlist.entries[-1]
        uri = f"gap-{self.playlist.following}.m4s"
        gap = Entry(uri, BRIDGE_MS, until_ms - BRIDGE_MS, last.discontinuity, last.map_uri, gap=True, parts=[])
        self.playlist.append(gap, independent=True)
        piece = self._segments.get(last.uri, [])[-1:]
        if piece:
            self._segments[uri] = piece

    def forget(self, gone: Sequence[Entry]) -> None:
        """Let go of *gone*, which left the playlist, and of what is too old to be asked for in parts."""
        for entry in gone:
            self._let_go(entry)
        left, kept = 0, 0
        for entry in reversed(self.playlist.entries):
            kept += left > m3u8.PARTS_WITHIN * self.playlist.target * 1000
            left += entry.duration_ms
            if kept > SPARE:
                self._let_go(entry)
        used = {entry.map_uri for entry in self.playlist.entries} | {self.map_uri}
        self._inits = {uri: data for uri, data in self._inits.items() if uri in used}

    def _let_go(self, entry: Entry) -> None:
        for part in entry.parts:
            self._parts.pop(part.uri, None)
        self._segments.pop(entry.uri, None)

    def outdate(self) -> None:
        """What the text says beside this rendition's own segments changed."""
        self._texts = {}

    def wake(self) -> None:
        """Players may see what changed."""
        self.outdate()
        self._changed.set()
        self._changed = asyncio.Event()

    def text(self, live: Callable[[], Live], *, skip: bool = False) -> bytes:
        """The playlist as it is now; made once per change."""
        if skip not in self._texts:
            self._texts[skip] = m3u8.render_live(self.playlist, live(), skip=skip).encode()
        return self._texts[skip]

    def held(self, name: str) -> bytes | None:
        """An initialisation segment, part or segment that is in memory."""
        if name in self._inits:
            return self._inits[name]
        if name in self._parts:
            return self._parts[name]
        pieces = self._segments.get(name)
        if pieces is None or (self.playlist.opened is not None and self.playlist.opened.uri == name):
            return None
        return b"".join(pieces)

    def picture(self) -> tuple[bytes, bytes] | None:
        """The newest complete segment that is held: its initialisation segment, and its first part."""
        for entry in reversed(self.playlist.entries):
            pieces = self._segments.get(entry.uri)
            if entry.complete and not entry.gap and pieces and entry.map_uri in self._inits:
                return self._inits[entry.map_uri], pieces[0]
        return None

    def report(self) -> Report | None:
        """Where this rendition is, for the others' playlists."""
        at = self.playlist.position()
        return Report(f"../{self.name}/index.m3u8", *at) if at is not None and self.listed else None

    async def reaches(self, msn: int, part: int | None, timeout_s: float) -> None:
        """Wait until segment *msn*, or its *part*, is there.

        Raises:
            Impossible: it is further ahead than a player may ask for.
            Late: it did not come within *timeout_s*.
        """
        newest = self.playlist.following - 1
        ahead = max(3, 3000 // self._pace.settle())
        there = len(self.playlist.entries[-1].parts) if self.playlist.opened is not None else 0
        if msn > newest + 2 or (part is not None and msn == newest and part >= there + ahead and not self._is_over(msn)):
            msg = f"_HLS_msn={msn} is too far ahead of {newest}"
            raise Impossible(msg)
        await self._until(lambda: self.playlist.reaches(msn, part), timeout_s)

    def _is_over(self, msn: int) -> bool:
        return self.playlist.opened is None and msn <= self.playlist.following - 1

    async def hinted(self, name: str, timeout_s: float) -> bytes | None:
        """The part *name* when it is the one that comes next; `None` when it is not, or nothing comes any more.

        Raises:
            Late: it did not come within *timeout_s*.
        """
        if name != part_uri(self.following) or self.playlist.ended:
            return None
        await self._until(lambda: name in self._parts or name != part_uri(self.following) or self.playlist.ended, timeout_s)
        return self._parts.get(name)

    async def _until(self, there: Callable[[], bool], timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not there():
                    await self._changed.wait()
        except TimeoutError as error:
            raise Late from error
