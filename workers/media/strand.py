"""One rendition within one generation: an ffmpeg, and its output turned into published segments."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from infra.telemetry import metrics
from workers.media.cutter import Cutter, Fragment, Segment
from workers.media.ffmpeg import Ffmpeg
from workers.media.flv import Tag
from workers.media.mp4 import BadMp4, Box, Track, runs, tracks
from workers.media.publication import Publication
from workers.media.timeline import Timeline

#: An ffmpeg this far behind what it was given, for this long, hangs, or this machine is too slow for it. An encoder
#: that first sends what it had queued puts ffmpeg behind for a moment only.
BEHIND_MS = 5_000
BEHIND_S = 10.0
#: What an ffmpeg may take to finish after the end of its input.
FINISH_S = 5.0
#: A fragment that ends this close to a keyframe ends there: FLV's times are whole milliseconds.
_SAME_MS = 3.0


class Strand:
    """Fed from a keyframe on. What is written before `run` waits."""

    def __init__(
        self, *, generation: int, publication: Publication, timeline: Timeline, after: "asyncio.Task[None] | None"
    ) -> None:
        """*after* is the same rendition's task in the generation before: its segments come first."""
        self.name = ""
        self.ffmpeg = Ffmpeg()
        self._generation = generation
        self._publication = publication
        self._timeline = timeline
        self._after = after
        self._cutter = Cutter(publication.longest)
        self._keyframes: deque[int] = deque(maxlen=64)
        self._produced_ms: float | None = None
        self._in_step = asyncio.get_running_loop().time()
        self._tracks: dict[int, Track] = {}
        self._map_uri = ""

    def write(self, tag: Tag, data: bytes) -> None:
        """Hand over *tag*, encoded as *data*; never blocks. An ffmpeg that fell behind is killed, which ends `run`."""
        if tag.is_keyframe:
            self._keyframes.append(tag.presented)
        if self._produced_ms is None:
            self._produced_ms = tag.timestamp
        self.ffmpeg.write(data)
        now = asyncio.get_running_loop().time()
        if tag.timestamp - self._produced_ms <= BEHIND_MS:
            self._in_step = now
        elif now - self._in_step > BEHIND_S:
            self.ffmpeg.kill(f"it was {BEHIND_MS} ms behind for {BEHIND_S} s")

    def finish(self) -> None:
        """No more tags: publish what there is, within `FINISH_S`."""
        self.ffmpeg.end_input()
        asyncio.get_running_loop().call_later(FINISH_S, self.ffmpeg.kill, f"it did not finish within {FINISH_S} s")

    async def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        niceness: int = 0,
        opened: Callable[[int], None],
        published: Callable[[str], Awaitable[None]],
    ) -> None:
        """Make rendition *name* with *command* until the input ends.

        *opened* is told the picture's height (0: none) once it is known, *published* the name after each segment.

        Raises:
            FfmpegFailed: the process ended by itself or was killed.
            BadMp4: what it wrote is not understood.
            OSError: the disk is full or away.
        """
        self.name = name
        await self.ffmpeg.start(command, niceness)
        head = moof = b""
        async with aclosing(self.ffmpeg.boxes()) as boxes:
            async for box in boxes:
                match box.type:
                    case b"ftyp":
                        head = box.data
                    case b"moov":
                        await self._open(head, box)
                        opened(max((track.height for track in self._tracks.values()), default=0))
                    case b"moof":
                        moof = box.data
                    case b"mdat":
                        await self._publish(self._cut(moof, box), published)
                    case _:
                        pass
        await self._publish(self._cutter.flush(), published)

    async def _open(self, head: bytes, moov: Box) -> None:
        self._tracks = tracks(moov.data)
        if not self._tracks:
            msg = "no track that can be published"
            raise BadMp4(msg)
        if self._after is not None:
            await asyncio.wait([self._after])
        self._map_uri = await self._publication.describe(self.name, self._generation, head + moov.data, self._tracks.values())

    def _cut(self, moof: bytes, mdat: Box) -> list[Segment]:
        """The segments complete with this fragment. The picture's samples time it, the sound's where there is none."""
        found = sorted(runs(moof, self._tracks), key=lambda run: self._tracks[run.track].kind, reverse=True)
        if not found:
            return []
        lead = found[0]
        self._produced_ms = (lead.start + lead.duration) * 1000
        pictured = any(track.kind == "video" for track in self._tracks.values())
        is_picture = self._tracks[lead.track].kind == "video"
        ends = any(abs(self._produced_ms - at) < _SAME_MS for at in self._keyframes) if pictured else True
        fragment = Fragment(
            start=lead.start,
            duration=lead.duration,
            pictures=lead.samples if is_picture else 0,
            # Sound alone is always decodable; where there are pictures, a segment without one has no keyframe first.
            independent=lead.starts_sync and is_picture == pictured,
            data=moof + mdat.data,
        )
        return self._cutter.add(fragment, group_ends=ends)

    async def _publish(self, segments: Sequence[Segment], published: Callable[[str], Awaitable[None]]) -> None:
        for segment in segments:
            await self._publication.publish(self.name, self._generation, self._map_uri, segment, self._timeline)
            metrics.SEGMENTS.inc()
            await published(self.name)
