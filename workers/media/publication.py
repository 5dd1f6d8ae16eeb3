"""What viewers of one stream can fetch: its renditions and the master playlist over them.

Owns the numbers that must agree between renditions (RFC 8216, 6.2.4): the target duration, the discontinuity of each
generation, the dates. Files are written in a thread, never on the event loop.
"""

import asyncio
import math
from collections.abc import Collection, Iterable
from pathlib import Path

from infra.clock import Clock
from workers.media import master
from workers.media.cutter import LONGEST_S, Segment
from workers.media.mp4 import Track
from workers.media.playlist import Entry
from workers.media.rendition import Rendition, write
from workers.media.timeline import Timeline

MASTER = "master.m3u8"
#: EXTINF may exceed the target duration by less than half a second: it is compared rounded (4.3.3.1).
_ROUNDS_DOWN = 0.499


class Publication:
    """The folder of one stream. Its methods raise `OSError` when the disk is full or away."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.target: int | None = None
        self._clock = clock
        self._generation = 0
        self._discontinuity = -1
        self._discontinuities: dict[int, int] = {}
        self._renditions: dict[str, Rendition] = {}
        self._variants: dict[str, master.Variant] = {}
        self._master_lock = asyncio.Lock()

    async def open(self) -> None:
        """Find out where an earlier process left off."""
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        for index in sorted(self.folder.glob("*/")):
            rendition = self._rendition(index.name)
            rendition.open()
            self._generation = max(self._generation, rendition.generation)
            playlist = rendition.playlist
            if playlist is not None:
                self.target = playlist.target
                newest = playlist.entries[-1].discontinuity if playlist.entries else 0
                self._discontinuity = max(self._discontinuity, newest)

    def _rendition(self, name: str) -> Rendition:
        if name not in self._renditions:
            self._renditions[name] = Rendition(self.folder / name, self._clock.monotonic)
        return self._renditions[name]

    def next_generation(self) -> int:
        """A number above all that names in the folder begin with."""
        self._generation += 1
        return self._generation

    def longest(self) -> float:
        """Seconds a segment may last: the target duration holds for good once the first segment has set it."""
        return LONGEST_S if self.target is None else self.target + _ROUNDS_DOWN

    async def describe(self, name: str, generation: int, init: bytes, tracks: Iterable[Track]) -> str:
        """A run of *name* begins: keep its initialisation segment and return its name."""
        fresh = master.variant(name, tracks)
        before = self._variants.get(name)
        if before is None or (before.codecs, before.height, before.width) != (fresh.codecs, fresh.height, fresh.width):
            self._variants[name] = fresh
        return await asyncio.to_thread(self._rendition(name).write_init, generation, init)

    async def publish(self, name: str, generation: int, map_uri: str, segment: Segment, timeline: Timeline) -> None:
        """Add *segment* to rendition *name* and make the master playlist tell of it."""
        if self.target is None:
            self.target = max(1, math.floor(segment.duration + 0.5))
        number = self._number(generation)
        timeline.freeze(round(segment.start * 1000), self._end_ms())
        rendition = self._rendition(name)
        start = round(segment.start * 1000)
        duration = (round((segment.start + segment.duration) * 1000) - start) / 1000
        entry = Entry(rendition.next_uri(generation), duration, timeline.date_ms(start), number, map_uri)
        await asyncio.to_thread(rendition.publish, segment, entry, self.target)
        if self._variants[name].measure(segment, self.target):
            await self._write_master()

    def _number(self, generation: int) -> int:
        """The discontinuity number of *generation*, given at its first segment: one without any leaves no trace."""
        if generation not in self._discontinuities:
            self._discontinuity += 1
            self._discontinuities = {key: value for key, value in self._discontinuities.items() if key >= generation - 1}
            self._discontinuities[generation] = self._discontinuity
        return self._discontinuities[generation]

    def _end_ms(self) -> int:
        """Wall time up to which segments were published."""
        playlists = (rendition.playlist for rendition in self._renditions.values())
        return max((playlist.entries[-1].end_ms for playlist in playlists if playlist and playlist.entries), default=0)

    def qualities(self, names: Iterable[str]) -> list[str]:
        """What people call the renditions *names*, highest first."""
        known = [self._variants[name] for name in names if name in self._variants]
        return [each.quality for each in sorted(known, key=lambda each: each.height, reverse=True)]

    async def keep_only(self, names: Collection[str]) -> None:
        """Withdraw every rendition that is not one of *names*."""
        gone = [name for name, rendition in self._renditions.items() if name not in names and rendition.playlist is not None]
        for name in gone:
            self._variants.pop(name, None)
        if gone:
            await self._write_master()
        for name in gone:
            await asyncio.to_thread(self._renditions[name].withdraw)

    async def finish(self) -> None:
        """The stream has ended: EXT-X-ENDLIST everywhere."""
        for rendition in self._renditions.values():
            await asyncio.to_thread(rendition.finish)

    async def _write_master(self) -> None:
        async with self._master_lock:
            listed = [each for each in self._variants.values() if each.bandwidth]
            if listed:
                await asyncio.to_thread(write, self.folder / MASTER, master.render(listed).encode())
