"""A recording is finished: playlists, MP4 and pictures from what is at home, in an order that never shows a half of it.

What people are told of comes last: the multivariant playlist after all it names, the stream's record after that. Everything is
derived from the listing, so that whoever dies in the middle of it is followed by one who begins anew and comes to the same.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from infra.clock import Clock
from infra.errors import OvationError
from infra.objects.contract import ObjectStore
from infra.telemetry import logs, metrics
from schemas.records import Recorded, versioned
from workers.media.ffmpeg import FfmpegFailed
from workers.media.recording import fragments, mp4, names, pictures, vod
from workers.media.recording.initial import Initial, initial
from workers.media.recording.tracks import Kept, Row, Track, alongside, rows, tracks
from workers.media.variants import SOURCE

#: Tries to make the MP4; without it the recording is published all the same.
TRIES = 3
AGAIN_S = 2.0
#: Characters of a version: two of one recording's few are alike once in 4 billion times.
_VERSION = 8
#: Read of a segment to count its pictures per second.
_MOST_SEGMENT = 16 * 1024**2


T = TypeVar("T")


class Lost(OvationError):
    """Somebody else does this now: stop."""


class _Material(Struct):
    """What is at home of a stream's recording: *there* has each rendition's segment for every row, best rendition first."""

    rows: list[Row]
    found: dict[str, Track]
    there: dict[str, list[Kept | None]]
    inits: dict[tuple[str, int], bytes]
    read: dict[str, dict[int, Initial]]

    @property
    def version(self) -> str:
        """The same for whoever finds the same at home; another one as soon as anything more has come there."""
        there = [(name, each) for name, kept in sorted(self.there.items()) for each in kept if each is not None]
        listed = "\n".join(f"{name}/{each.segment.name}" for name, each in there)
        return hashlib.sha256(listed.encode()).hexdigest()[:_VERSION]

    @property
    def duration_ms(self) -> int:
        """What the recording lasts."""
        return sum(row.kept.segment.duration_ms for row in self.rows)


class Finishing:
    """Makes recordings of one home."""

    def __init__(self, *, home: ObjectStore, program: Path, work: Path, clock: Clock) -> None:
        """*program* is ffmpeg; *work* a folder for what is made, with room for two recordings."""
        self._home = home
        self._program = program
        self._work = work
        self._clock = clock
        self._log = logs.get(__name__)

    async def finish(self, stream_id: str, held: Callable[[], bool]) -> Recorded | None:
        """Make everything of *stream_id*'s recording but its record; `None` where nothing was recorded.

        *held* is asked before anything is put.

        Raises:
            Lost: it is somebody else's.
            infra.errors.Unavailable: the home does not answer; the same may be done again.
            infra.errors.Missing: what was listed is gone: it is being deleted.
            OSError: the spool's disk is full or away.
        """
        began = self._clock.monotonic()
        material = await self._material(stream_id)
        if material is None:
            return None
        work = self._work / stream_id
        await asyncio.to_thread(_empty, work)
        try:
            size = await self._mp4(stream_id, material, work, held)
            pictured = await self._stills(stream_id, material, work, held)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
        await self._playlists(stream_id, material, held)
        metrics.FINISHING.observe(self._clock.monotonic() - began)
        media = sum(each.size for each in next(iter(material.there.values())) if each is not None)
        return Recorded(
            recording_id=stream_id,
            duration_ms=material.duration_ms,
            size_bytes=media if size is None else size,
            created_at=self._clock.now_ms(),
            mp4=size is not None,
            pictures=pictured,
            version=material.version,
        )

    async def _material(self, stream_id: str) -> _Material | None:
        found = await tracks(self._home, stream_id)
        made = rows(found)
        if not made:
            return None
        inits: dict[tuple[str, int], bytes] = {}
        read: dict[str, dict[int, Initial]] = {}
        for name, track in found.items():
            read[name] = {}
            for generation in sorted(track.inits):
                data = await self._home.read(names.recording(stream_id, name, names.init(generation)))
                inits[name, generation] = data
                read[name][generation] = initial(data)
        heights = {name: max((each.height for each in read[name].values()), default=0) for name in found}
        ordered = sorted(found, key=lambda name: (name == SOURCE, heights[name]), reverse=True)
        return _Material(made, found, {name: alongside(found[name], made) for name in ordered}, inits, read)

    async def _mp4(self, stream_id: str, material: _Material, work: Path, held: Callable[[], bool]) -> int | None:
        """Make and put the MP4; its size, or `None` where there can be none."""
        name = mp4.best(material.there, material.inits)
        if name is None:
            self._log.warning("no MP4: the encoder changed its format during the broadcast", stream_id=stream_id)
            return None
        kept = [each for each in material.there[name] if each is not None]
        made = await self._tried(
            stream_id, "mp4", work, lambda: mp4.assemble(self._program, self._home, stream_id, name, material.rows, kept, work)
        )
        if made is None:
            return None
        size = made.stat().st_size
        _check(held)
        await self._home.put_file(names.recording(stream_id, versioned(names.MP4, material.version)), made)
        return size

    async def _tried(self, stream_id: str, what: str, work: Path, make: Callable[[], Awaitable[T]]) -> T | None:
        """What ffmpeg makes in the folder *work*; `None` where it failed `TRIES` times."""
        for left in reversed(range(TRIES)):
            try:
                await asyncio.to_thread(_empty, work)
                return await make()
            except FfmpegFailed as error:
                metrics.FINISHING_FAILED.labels(what).inc()
                self._log.error("part of a recording was not made", stream_id=stream_id, what=what, error=str(error), left=left)
                if left:
                    await asyncio.sleep(AGAIN_S)
        return None

    async def _stills(self, stream_id: str, material: _Material, work: Path, held: Callable[[], bool]) -> bool:
        """Make and put the pictures; false where there are none: a recording without them is a recording."""
        pictured = {
            name: there
            for name, there in material.there.items()
            if None not in there and any(each.height for each in material.read[name].values())
        }
        if not pictured:
            return False
        # The largest for the poster would be read for the strip as well; the smallest costs least and is large enough.
        name = next(reversed(pictured))
        kept = [each for each in pictured[name] if each is not None]
        inits = {generation: data for (of, generation), data in material.inits.items() if of == name}
        made = await self._tried(
            stream_id, "pictures", work, lambda: pictures.stills(self._program, self._home, stream_id, name, kept, inits, work)
        )
        if made is None:
            return False
        poster, strip, stretches = made
        file = versioned(names.STRIP, material.version)
        for at, data in ((names.POSTER, poster), (names.STRIP, strip), (names.CUES, pictures.cues(stretches, file))):
            _check(held)
            await self._home.put(names.recording(stream_id, versioned(at, material.version)), data)
        await self._home.put(f"{stream_id}/{names.POSTER}", poster)
        return True

    async def _playlists(self, stream_id: str, material: _Material, held: Callable[[], bool]) -> None:
        variants = []
        for name, there in material.there.items():
            rate = await self._frame_rate(stream_id, name, there, material.read[name])
            variant = vod.variant(name, there, material.read[name], rate)
            if variant is None:
                continue
            variants.append(variant)
            _check(held)
            await self._home.put(names.recording(stream_id, name, names.PLAYLIST), vod.playlist(material.rows, there))
        _check(held)
        await self._home.put(names.recording(stream_id, names.MASTER), vod.multivariant(variants))

    async def _frame_rate(self, stream_id: str, name: str, there: Sequence[Kept | None], read: Mapping[int, Initial]) -> float:
        """Pictures per second in one segment, from the middle."""
        kept = [each for each in there if each is not None]
        if not kept or not any(each.height for each in read.values()):
            return 0.0
        segment = kept[len(kept) // 2].segment
        data = await self._home.read(names.recording(stream_id, name, segment.name), 0, _MOST_SEGMENT)
        count = fragments.pictures(data)
        return count * 1000 / segment.duration_ms


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _check(held: Callable[[], bool]) -> None:
    if not held():
        msg = "another worker finishes this recording"
        raise Lost(msg)
