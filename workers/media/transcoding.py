"""The lower renditions of one run: one ffmpeg, started anew when it dies, with fewer renditions when it cannot keep up.

Nothing here is in the passthrough's way: it is written to without waiting, and its death is a gap in its own renditions.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from infra.clock import Clock
from infra.telemetry import logs, metrics
from schemas.media import DropReason
from workers.media import command
from workers.media.ffmpeg import Ffmpeg, FfmpegFailed
from workers.media.flv import VIDEO, Preamble, Tag, enhanced
from workers.media.flvreader import FlvReader
from workers.media.patience import Patience
from workers.media.speed import Speed

#: Starts in a row that may fail; after that the stream is passed through only.
ATTEMPTS = 6
#: An ffmpeg this far behind what it was given, for this long, hangs, or this machine is too slow for it. An encoder
#: that first sends what it had queued puts ffmpeg behind for a moment only.
BEHIND_MS = 3_000
BEHIND_S = 5.0
#: What ffmpeg may take to finish after the end of its input.
FINISH_S = 5.0
#: The transcoder yields to the passthrough when both want the processor.
NICENESS = 5


class Taker(Protocol):
    """Who makes parts of what is transcoded."""

    def begun(self, height: int) -> None:
        """A new ffmpeg's first pictures of *height* follow."""

    def transcoded(self, height: int, tag: Tag) -> None:
        """The next tag of *height*."""

    def lost(self, cause: str, again_in_s: float | None) -> None:
        """The ffmpeg is gone, why in *cause*; nothing comes until `begun`. *again_in_s*: when it is tried again, if it is."""

    def ended(self) -> None:
        """The ffmpeg has finished all it was given; nothing more comes."""

    def dropped(self, height: int, reason: DropReason) -> None:
        """*height* is not made any more in this run."""


class Transcoding:
    """Fed from a segment's first picture on."""

    def __init__(
        self,
        *,
        ffmpeg: Path,
        heights: Sequence[int],
        preamble: Preamble,
        taker: Taker,
        clock: Clock,
        after: "Transcoding | None",
    ) -> None:
        """*heights*: highest first; *after*: the run before, whose ffmpeg ends before this one's begins."""
        self._ffmpeg = ffmpeg
        self._heights = list(heights)
        self._preamble = preamble
        self._taker = taker
        self._clock = clock
        self._after = after
        self._patience = Patience(ATTEMPTS)
        self._process: Ffmpeg | None = None
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self._began = 0.0
        self._in_step = 0.0
        self._speed: Speed | None = None
        self._queued = 0
        self._slow = False
        self._finishing = False
        self._log = logs.get(__name__)

    @property
    def pid(self) -> int | None:
        """The ffmpeg that runs now."""
        return self._process.pid if self._process is not None else None

    def feed(self, tag: Tag, *, starts: bool) -> None:
        """One picture; *starts*: a segment begins with it. Never blocks."""
        if not self._heights or self._finishing:
            return
        if self._process is None:
            if not starts or self._clock.monotonic() < self._not_before:
                return
            self._start(tag)
        if self._process is not None:
            self._process.write(enhanced(tag).encode())
            self._watch(tag.timestamp)

    def finish(self) -> None:
        """No more tags: let it finish what it has, within `FINISH_S`."""
        self._finishing = True
        if self._process is not None:
            self._process.end_input()
            reason = f"it did not finish within {FINISH_S} s"
            asyncio.get_running_loop().call_later(FINISH_S, self._process.kill, reason)

    async def finished(self) -> None:
        """Wait until its ffmpeg, and those of the runs before, are gone."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        elif self._after is not None:
            await self._after.finished()

    def _start(self, tag: Tag) -> None:
        process = self._process = Ffmpeg()
        self._began = self._in_step = self._clock.monotonic()
        speed = self._speed = Speed(self._heights, tag.timestamp, self._began)
        self._slow = False
        opening = self._preamble.encode(tag.timestamp, VIDEO)
        process.write(opening)
        # Told of pictures alone, ffmpeg would read all it may (40 s of a thin stream) in hope of more.
        probe = len(opening) + len(enhanced(tag).encode())
        self._task = asyncio.create_task(self._run(process, speed, list(self._heights), probe))

    async def _run(self, process: Ffmpeg, speed: Speed, heights: Sequence[int], probe: int) -> None:
        if self._after is not None:
            await self._after.finished()
            self._after = None
        try:
            await process.run(
                lambda descriptors: command.transcode(self._ffmpeg, list(zip(heights, descriptors, strict=True)), probe),
                [self._taker_of(height, speed) for height in heights],
                NICENESS,
            )
        except FfmpegFailed as error:
            self._process = None
            self._failed(str(error))
        else:
            self._process = None
            self._taker.ended()
        finally:
            self._tell_queued(0)

    def _tell_queued(self, size: int) -> None:
        metrics.MEDIA_QUEUED.labels("ffmpeg").inc(size - self._queued)
        self._queued = size

    def _taker_of(self, height: int, speed: Speed) -> Callable[[bytes], None]:
        reader, begun = FlvReader(), False

        def take(data: bytes) -> None:
            nonlocal begun
            for tag in reader.feed(data):
                if not begun:
                    begun = True
                    self._taker.begun(height)
                if tag.type == VIDEO:
                    speed.made(height, tag.timestamp)
                    self._taker.transcoded(height, tag)

        return take

    def _watch(self, fed_ms: int) -> None:
        now = self._clock.monotonic()
        process, speed = self._process, self._speed
        if process is None or speed is None:
            return
        if speed.measure(fed_ms, now):
            self._tell_queued(process.queued)
        if speed.behind_ms(fed_ms) <= BEHIND_MS:
            self._in_step = now
        elif now - self._in_step > BEHIND_S:
            self._slow = speed.produced_ms > 0
            process.kill(f"it was {BEHIND_MS} ms behind for {BEHIND_S} s")

    def _failed(self, cause: str) -> None:
        if self._finishing:
            self._taker.lost(cause, None)
            self._log.warning("ffmpeg failed while finishing", error=cause)
            return
        delay = self._patience.delay(self._clock.monotonic() - self._began)
        metrics.FFMPEG_RESTARTS.inc()
        self._taker.lost(cause, delay)
        self._log.warning("ffmpeg failed", error=cause, again_in_s=delay, slow=self._slow)
        if self._slow:
            self._drop(self._heights[:1], "slow")
        elif delay is None:
            self._log.error("the transcoder keeps failing; passing through only until the encoder returns")
            self._drop(list(self._heights), "failing")
        self._not_before = self._clock.monotonic() + (delay or 0.0)

    def _drop(self, heights: Sequence[int], reason: DropReason) -> None:
        for height in heights:
            self._heights.remove(height)
            self._log.warning("a quality is not made any more", height=height)
            self._taker.dropped(height, reason)
