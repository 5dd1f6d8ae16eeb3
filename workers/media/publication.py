"""What viewers of one stream can fetch: its renditions and the master playlist over them.

Owns the numbers that must agree between renditions (RFC 8216bis, 6.2.4): the target durations, the discontinuity of each
run, segment numbers, dates. Memory is the truth for players; files follow it in a thread, one after the other.
"""

import asyncio
import math
import re
from collections.abc import Collection
from functools import partial
from pathlib import Path

from infra.clock import Clock
from workers.media import m3u8
from workers.media.cmaf.edges import LONGEST_MS, Pace
from workers.media.cmaf.setup import Setup
from workers.media.cmaf.writer import Part
from workers.media.filing import Filing
from workers.media.m3u8 import Live
from workers.media.playlist import Entry, Playlist
from workers.media.recording.names import Segment
from workers.media.recording.recorder import Recorder
from workers.media.rendition import Rendition
from workers.media.shelf import Shelf, init_uri, segment_uri
from workers.media.variants import SOURCE, Variants

#: EXTINF may exceed the target duration by less than half a second: it is compared rounded (4.4.3.1).
_ROUNDS_DOWN_MS = 499
#: What is recorded lies beside the renditions where the home is the same folder.
RECORDING = "recording"
_FILES = re.compile(r"init-[0-9]{1,15}\.mp4|segment-[0-9]{1,15}-[0-9]{1,15}\.m4s")
#: An encoder that returns later than this finds its old pictures taken out of the window.
STALE_MS = 30_000
#: A hole in the dates that is told as one (`Rendition.bridge`): Shaka takes a second as drift.
HOLE_MS = 1000
#: Part numbers of a process begin at its first generation times this: above whatever an earlier process gave out.
PARTS_PER_GENERATION = 1_000_000


class Publication:
    """The folder of one stream, and what of it is in memory."""

    def __init__(self, folder: Path, clock: Clock, filing: Filing, part_ms: int, recorder: Recorder | None = None) -> None:
        """*part_ms*: what a part is meant to last."""
        self.folder = folder
        self.target: int | None = None
        self.pace = Pace(part_ms)
        self.generation = 0
        self.filing = filing
        self.variants = Variants(folder, filing)
        self._clock = clock
        self._recorder = recorder
        self._following = 0
        self._discontinuity = -1
        self._fresh = 0
        self._shelves: dict[str, Shelf] = {}
        self._found: dict[str, Playlist] = {}
        self._renditions: dict[str, Rendition] = {}
        self._pictures: dict[str, int] = {}

    async def open(self) -> None:
        """Find out where an earlier process left off.

        Raises:
            OSError: the folder cannot be read.
        """
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        for folder in sorted(path for path in self.folder.glob("*/") if path.name != RECORDING):
            shelf = self._shelf(folder.name)
            playlist = shelf.open()
            self.generation = max(self.generation, shelf.generation)
            if playlist is not None:
                self._found[folder.name] = playlist
                self.target = playlist.target
                newest = playlist.entries[-1].discontinuity if playlist.entries else 0
                self._discontinuity = max(self._discontinuity, newest)
        if self._found and not any(playlist.ended for playlist in self._found.values()):
            self._abandon()

    def _abandon(self) -> None:
        """The segment that an earlier process had begun and players saw parts of is lost: no other takes its number."""
        following = max(playlist.following for playlist in self._found.values())
        now_ms = self._clock.now_ms()
        for playlist in self._found.values():
            last = playlist.entries[-1] if playlist.entries else None
            while last is not None and playlist.following <= following:
                uri = f"lost-{playlist.following}.m4s"
                # No longer than until now: what comes next is dated after it, and would be dated too late.
                lasts_ms = max(1, min(playlist.target * 1000, now_ms - last.end_ms))
                lost = Entry(uri, lasts_ms, last.end_ms, last.discontinuity, last.map_uri, gap=True, parts=[])
                playlist.append(lost, independent=True)
                last = lost

    def succeed(self, generation: int, following: int, longest_ms: int) -> None:
        """Others made more of this stream than the folder tells: *generation* was their newest.

        What comes now is numbered from *following* on, and the folder's playlists are nobody's any more. A generation is never
        less than the discontinuities before it, so that it serves for their number.
        """
        self._found = {}
        self.generation = max(self.generation, generation)
        self._discontinuity = max(self._discontinuity, generation)
        self._following = following
        if longest_ms:
            self.target = math.floor(longest_ms / 1000 + 0.5)

    def _shelf(self, name: str) -> Shelf:
        if name not in self._shelves:
            self._shelves[name] = Shelf(self.folder / name, self._clock.monotonic)
        return self._shelves[name]

    def longest_ms(self) -> int:
        """What a segment may last: the target duration holds for good once it was announced."""
        return LONGEST_MS if self.target is None else self.target * 1000 + _ROUNDS_DOWN_MS

    def next_generation(self, lease: int) -> int:
        """A number above all that names in the folder hold, and not below *lease*."""
        self.generation = max(self.generation + 1, lease)
        return self.generation

    def begin(self, longest_ms: int, date_ms: int) -> tuple[int, int]:
        """A run is about to be seen, with a segment of *longest_ms* and from *date_ms* on.

        Returns its discontinuity and its first segment's number.
        """
        if self.target is None:
            self.target = max(1, math.floor(longest_ms / 1000 + 0.5))
        self.pace.settle()
        end_ms = self.end_ms()
        if end_ms and HOLE_MS <= date_ms - end_ms <= STALE_MS:
            self._bridge(date_ms)
        self._discontinuity += 1
        playlists = [rendition.playlist for rendition in self._renditions.values()] + list(self._found.values())
        return self._discontinuity, max([self._following, *(playlist.following for playlist in playlists)])

    def _bridge(self, date_ms: int) -> None:
        source = self._renditions[SOURCE].playlist if SOURCE in self._renditions else None
        if source is None or not source.entries or source.opened is not None:
            return
        following = source.following
        for name, rendition in self._renditions.items():
            self.catch_up(name, following)
            if rendition.playlist.entries:
                rendition.bridge(date_ms)

    def end_ms(self) -> int:
        """Wall time up to which there are segments."""
        playlists = [rendition.playlist for rendition in self._renditions.values()] + list(self._found.values())
        return max((playlist.end_ms for playlist in playlists), default=0)

    def outdate(self) -> None:
        """The encoder is gone: whoever joins from now on is not shown what it sent before (EXT-X-GAP)."""
        self._fresh = self._discontinuity + 1
        for rendition in self._renditions.values():
            rendition.wake()

    def describe(self, name: str, generation: int, setup: Setup) -> None:
        """A run of *name* begins: make its initialisation segment known."""
        self.variants.describe(name, setup)
        data, shelf = setup.initialisation(), self._shelf(name)
        self.rendition(name, generation).describe(init_uri(generation), data)
        self.filing.put(lambda: shelf.write_init(generation, data))
        if self._recorder is not None:
            self._recorder.describe(name, generation, data)

    def rendition(self, name: str, generation: int) -> Rendition:
        """The rendition *name*, made with its first generation where it is new."""
        if name not in self._renditions:
            playlist = self._found.pop(name, None) or Playlist(self.target or 1)
            first = generation * PARTS_PER_GENERATION
            self._renditions[name] = Rendition(name, playlist, first, self.pace)
        return self._renditions[name]

    def find(self, name: str) -> Rendition | None:
        """The rendition *name* where players may see it."""
        rendition = self._renditions.get(name)
        return rendition if rendition is not None and rendition.listed else None

    def add(self, name: str, generation: int, msn: int, part: Part, date_ms: int, discontinuity: int) -> bool:
        """Add *part* to segment *msn* of *name*; tells whether that is complete now."""
        rendition = self._renditions[name]
        playlist = rendition.playlist
        playlist.target = self.target or 1
        if part.opens:
            self.catch_up(name, msn)
            if not playlist.entries:
                playlist.sequence = msn
        # A rendition that came too late finds its segment called a gap already.
        if playlist.following - (not part.opens) != msn or part.opens == (playlist.opened is not None):
            return False
        if part.opens:
            uri = segment_uri(generation, msn)
            rendition.open(uri, date_ms, discontinuity, independent=part.independent)
            self._pictures[name] = 0
        rendition.add(part)
        if self._recorder is not None:
            segment = Segment(msn=msn, generation=generation, discontinuity=discontinuity, date_ms=date_ms)
            self._recorder.take(name, segment, part)
        self._pictures[name] += part.pictures
        if part.closes:
            self._complete(rendition)
        self._wake(rendition)
        return part.closes

    def _complete(self, rendition: Rendition) -> None:
        entry, data = rendition.close()
        rendition.listed = True
        shelf = self._shelf(rendition.name)
        self.filing.put(lambda: shelf.write_segment(entry.uri, data))
        self._tidy(rendition)
        seconds = entry.duration_ms / 1000
        pictures = self._pictures[rendition.name]
        self.variants.measure(rendition.name, len(data), seconds, pictures, rendition.playlist.target)

    def _tidy(self, rendition: Rendition) -> None:
        gone = list(rendition.playlist.trim(STALE_MS))
        rendition.forget(gone)
        playlist, shelf = rendition.playlist, self._shelf(rendition.name)
        text = m3u8.render(playlist)
        maps, target = [entry.map_uri for entry in playlist.entries], playlist.target
        self.filing.put(lambda: shelf.write_index(text, maps, [entry.uri for entry in gone], target))

    def _wake(self, rendition: Rendition) -> None:
        """Others report where this one is: their texts are old, too, but nobody waits for that."""
        rendition.wake()
        for other in self._renditions.values():
            if other is not rendition:
                other.outdate()

    def catch_up(self, name: str, msn: int) -> None:
        """Fill what *name* lacks below segment *msn* with gaps."""
        rendition, source = self._renditions.get(name), self._renditions.get(SOURCE)
        if rendition is None or source is None or rendition is source or not rendition.playlist.entries:
            return
        first, filled = source.playlist.sequence, False
        if self._recorder is not None and rendition.playlist.opened is not None and rendition.playlist.following - 1 < msn:
            self._recorder.drop(name)
        while (number := rendition.playlist.following - (rendition.playlist.opened is not None)) < msn:
            like = source.playlist.entries[max(0, min(number - first, len(source.playlist.entries) - 1))]
            rendition.fill(like)
            filled = True
        if filled:
            self._tidy(rendition)
            self._wake(rendition)

    def text(self, rendition: Rendition, *, skip: bool = False) -> bytes:
        """The playlist of *rendition* as it is now."""

        def live() -> Live:
            reports = [each.report() for each in self._renditions.values() if each is not rendition]
            found = [report for report in reports if report is not None]
            return Live(self.pace.settle(), rendition.following, self._fresh, found)

        return rendition.text(live, skip=skip)

    async def read(self, name: str, file: str) -> bytes | None:
        """A segment of *name* that is no longer in memory; files stay a while after they left the playlist."""
        if not _FILES.fullmatch(file):
            return None
        path = self.folder / name / file
        try:
            return await asyncio.to_thread(path.read_bytes)
        except OSError:
            return None

    def picture(self) -> tuple[bytes, bytes] | None:
        """A newest picture, of the smallest rendition: its initialisation segment, and the part that it begins."""
        listed = [each for each in self._renditions.values() if each.listed and self.variants[each.name].height]
        smallest = min(listed, key=lambda each: self.variants[each.name].height, default=None)
        return smallest.picture() if smallest is not None else None

    def keep_only(self, names: Collection[str]) -> None:
        """Withdraw every rendition that is not one of *names*."""
        for name in {*self._renditions, *self._found} - set(names):
            self.variants.withdraw(name)
            playlist = self._found.pop(name, None)
            rendition = self._renditions.pop(name, None)
            if rendition is not None:
                playlist = rendition.playlist
                rendition.playlist.ended = True
                rendition.wake()
            self.variants.write()
            gone = [entry.uri for entry in playlist.entries] if playlist else []
            shelf, target = self._shelf(name), self.target or 1
            self.filing.put(partial(shelf.withdraw, gone, target))

    def finish(self) -> None:
        """The stream has ended: EXT-X-ENDLIST everywhere."""
        self._fresh = 0
        source = self._renditions.get(SOURCE)
        for rendition in self._renditions.values():
            if source is not None and rendition.playlist.opened is not None:
                self.catch_up(rendition.name, source.playlist.following)
            rendition.playlist.ended = True
            self._tidy(rendition)
            rendition.wake()
        for name, playlist in self._found.items():
            if not playlist.ended:
                playlist.ended = True
                shelf, text = self._shelf(name), m3u8.render(playlist)
                maps = [entry.map_uri for entry in playlist.entries]
                self.filing.put(partial(shelf.write_index, text, maps, [], 1))
