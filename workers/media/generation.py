"""One start of the ffmpegs at one keyframe: the passthrough, and beside it the transcoder.

They are two processes, so that the passthrough survives whatever happens to the other. A generation always begins with
both at the same keyframe and is one discontinuity in both renditions: their numbers must be equal (RFC 8216, 6.2.4).
"""

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from workers.media import command
from workers.media.ffmpeg import FfmpegFailed
from workers.media.flv import AUDIO, VIDEO, Preamble, Tag
from workers.media.mp4 import BadMp4
from workers.media.publication import Publication
from workers.media.strand import Strand
from workers.media.timeline import Timeline

#: The passthrough's folder.
SOURCE_NAME = "source"
#: The transcoder yields to the passthrough when both want the processor.
NICENESS = 5


class Role(Enum):
    """What an ffmpeg is for."""

    PASSTHROUGH = "passthrough"
    TRANSCODE = "transcode"


class Listener(Protocol):
    """What a generation tells its broadcast."""

    async def published(self, generation: "Generation", name: str) -> None:
        """A new segment of rendition *name* can be fetched."""

    def failed(self, generation: "Generation", role: Role, error: Exception) -> None:
        """The ffmpeg of *role* is gone: `FfmpegFailed`, `BadMp4`, or `OSError` when the disk is full or away."""


class Generation:
    """Fed with tags from a keyframe on; publishes segments until it is finished."""

    def __init__(
        self,
        *,
        publication: Publication,
        timeline: Timeline,
        listener: Listener,
        ffmpeg: Path,
        transcode_height: Callable[[int], int | None],
        previous: "Generation | None",
    ) -> None:
        """*transcode_height* says what a source of so many lines is transcoded to (`None`: nothing)."""
        self.number = publication.next_generation()
        self._ffmpeg = ffmpeg
        self._listener = listener
        self._transcode_height = transcode_height
        self._height: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._before = dict(previous.tasks) if previous else {}
        self._strands = {
            role: Strand(generation=self.number, publication=publication, timeline=timeline, after=self._before.get(role))
            for role in Role
        }
        self._probe = command.PROBE
        self.tasks: dict[Role, asyncio.Task[None]] = {}

    def begin(self, preamble: Preamble, tag: Tag) -> None:
        """Start with *tag*, a keyframe (or sound, where there is no picture)."""
        opening = preamble.encode(tag.timestamp)
        if not (preamble.has(VIDEO) and preamble.has(AUDIO)):
            # Of one kind alone ffmpeg would read all it may (40 s of a thin stream) in hope of the other.
            self._probe = len(opening) + len(tag.encode())
        for strand in self._strands.values():
            strand.ffmpeg.write(opening)
        self.feed(tag)
        jobs: dict[Role, Callable[[], Coroutine[Any, Any, None]]] = {
            Role.PASSTHROUGH: self._pass_through,
            Role.TRANSCODE: self._transcode,
        }
        for role, job in jobs.items():
            self.tasks[role] = asyncio.create_task(
                self._guard(role, self._before.get(role), job), name=f"{role.value} {self.number}"
            )

    def feed(self, tag: Tag) -> None:
        """Hand *tag* to every ffmpeg that still runs; never blocks."""
        data = tag.encode()
        for strand in self._strands.values():
            strand.write(tag, data)

    def finish(self) -> None:
        """No more tags: let every ffmpeg publish what it has."""
        if not self._height.done():
            # The transcoder was never started: there was no time to learn what of.
            self._height.cancel()
        for strand in self._strands.values():
            strand.finish()

    async def finished(self) -> None:
        """Wait until everything of this generation, and of those before it, is published or lost."""
        await asyncio.gather(*self.tasks.values())

    def names(self) -> list[str]:
        """The renditions it makes, as far as it is decided."""
        return [strand.name for strand in self._strands.values() if strand.name]

    def pids(self) -> dict[Role, int]:
        """The ffmpegs that were started and not yet found dead."""
        return {role: strand.ffmpeg.pid for role, strand in self._strands.items() if strand.ffmpeg.pid is not None}

    async def _guard(
        self, role: Role, before: "asyncio.Task[None] | None", job: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        try:
            await job()
        except (FfmpegFailed, BadMp4, OSError) as error:
            strand = self._strands.pop(role, None)
            if strand is not None:
                strand.ffmpeg.kill(str(error))
            if not self._height.done():
                self._height.cancel()
            self._listener.failed(self, role, error)
        finally:
            # Whoever waits for this one waits for all before it.
            if before is not None:
                await asyncio.wait([before])

    async def _pass_through(self) -> None:
        await self._strands[Role.PASSTHROUGH].run(
            SOURCE_NAME, command.passthrough(self._ffmpeg, self._probe), opened=self._opened, published=self._published
        )

    async def _transcode(self) -> None:
        await asyncio.wait([self._height])
        height = None if self._height.cancelled() else self._transcode_height(self._height.result())
        if height is None:
            del self._strands[Role.TRANSCODE]
            return
        await self._strands[Role.TRANSCODE].run(
            f"{height}p",
            command.transcode(self._ffmpeg, height, self._probe),
            niceness=NICENESS,
            opened=lambda _: None,
            published=self._published,
        )

    def _opened(self, height: int) -> None:
        if not self._height.done():
            self._height.set_result(height)

    async def _published(self, name: str) -> None:
        await self._listener.published(self, name)
