"""What one encoder sends from one keyframe on: the passthrough, made here, and beside it the transcoded renditions.

A generation is one discontinuity in all renditions. The death of ffmpeg is none: its renditions have a gap.
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from infra.clock import Clock
from schemas.media import DropReason
from workers.media.cmaf.edges import Marks, RungEdges, SourceEdges
from workers.media.cmaf.setup import Setup
from workers.media.cmaf.writer import Part, Writer
from workers.media.flv import AUDIO, VIDEO, Preamble, Tag, Unsupported
from workers.media.publication import Publication
from workers.media.punctuality import Punctuality
from workers.media.run import Run
from workers.media.timeline import Timeline
from workers.media.transcoding import Transcoding
from workers.media.variants import SOURCE

#: Frames of sound kept for renditions that come later: 21 s at 48 kHz.
_SOUNDS = 1000


class Listener(Protocol):
    """What a generation tells its broadcast."""

    def began(self, generation: "Generation", discontinuity: int, msn: int) -> None:
        """Its first part is about to be seen, in segment *msn*."""

    def published(self, generation: "Generation", name: str) -> None:
        """A new segment of rendition *name* can be fetched."""

    def dropped(self, generation: "Generation", name: str, reason: DropReason) -> None:
        """Rendition *name* is not made any more."""

    def died(self, generation: "Generation", cause: str, again_in_s: float | None) -> None:
        """The transcoder is gone; it is started again in *again_in_s*, if at all."""

    def restarted(self, generation: "Generation") -> None:
        """A transcoder that died makes pictures again."""


class Rung:
    """One transcoded rendition."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.writer: Writer | None = None


class Generation:
    """Fed with tags from a keyframe on; publishes parts until it is finished."""

    def __init__(
        self, *, number: int, publication: Publication, timeline: Timeline, listener: Listener, ffmpeg: Path, clock: Clock
    ) -> None:
        self.number = number
        self.setup: Setup | None = None
        self.run = Run(number, publication, timeline, self._published, began=self._began, shown=self._shown)
        self.transcoding: Transcoding | None = None
        self._publication = publication
        self._listener = listener
        self._ffmpeg = ffmpeg
        self._clock = clock
        self._marks = Marks()
        self._source: Writer | None = None
        self._punctuality = Punctuality(VIDEO)
        self._died = False
        self._rungs: dict[int, Rung] = {}
        self._aac: bytes | None = None
        self._sounds: deque[Tag] = deque(maxlen=_SOUNDS)

    def begin(self, preamble: Preamble) -> int:
        """Read the decoders' set-up; returns the height of the picture (0: none). `transcode` and `feed` follow.

        Raises:
            Unsupported: it cannot be read.
        """
        self._aac = preamble.header(AUDIO)
        try:
            setup = Setup.read(preamble.header(VIDEO), self._aac, preamble.codec)
        except ValueError as error:
            msg = f"The server cannot read this video: {error}."
            raise Unsupported(msg) from error
        pictured = setup.picture is not None
        self._punctuality = Punctuality(VIDEO if pictured else AUDIO)
        self.setup = setup
        edges = SourceEdges(self._marks, self._publication.pace, self._publication.longest_ms, pictured=pictured)
        self._source = Writer(setup, edges)
        self._publication.describe(SOURCE, self.number, setup)
        return setup.picture.height if setup.picture is not None else 0

    def transcode(self, heights: Sequence[int], preamble: Preamble, after: Transcoding | None) -> None:
        """Make *heights* as well (highest first)."""
        self._rungs = {height: Rung(f"{height}p") for height in heights}
        self.run.down = {rung.name: False for rung in self._rungs.values()}
        self.transcoding = Transcoding(
            ffmpeg=self._ffmpeg, heights=heights, preamble=preamble, taker=self, clock=self._clock, after=after
        )

    def feed(self, tag: Tag) -> None:
        """The next tag; never blocks."""
        if self._source is None:
            return
        before = self._marks.newest
        self._punctuality.arrived(tag, self._clock.monotonic())
        for part in self._source.take(tag):
            self.run.take(SOURCE, part)
        if self.transcoding is None:
            return
        if tag.type == AUDIO:
            self._sounds.append(tag)
            for rung in self._rungs.values():
                if rung.writer is not None:
                    rung.writer.take(tag)
        elif tag.type == VIDEO:
            self.transcoding.feed(tag, starts=tag.is_keyframe and self._marks.newest > before)

    def finish(self) -> None:
        """No more tags: publish what there is."""
        if self._source is not None:
            for part in self._source.flush():
                self.run.take(SOURCE, part)
            self._source = None
        self.run.finish()
        if self.transcoding is not None:
            self.transcoding.finish()

    async def finished(self) -> None:
        """Wait until everything of this generation, and of those before it, is made or lost."""
        if self.transcoding is not None:
            await self.transcoding.finished()

    def names(self) -> list[str]:
        """The renditions it makes."""
        return [SOURCE, *(rung.name for rung in self._rungs.values())]

    def heights(self) -> list[int]:
        """The heights that are transcoded."""
        return list(self._rungs)

    def begun(self, height: int) -> None:
        """As `transcoding.Taker`."""
        if self._died:
            self._died = False
            self._listener.restarted(self)
        if height in self._rungs:
            self._rungs[height].writer = None
            self.run.down[self._rungs[height].name] = False

    def transcoded(self, height: int, tag: Tag) -> None:
        """As `transcoding.Taker`."""
        rung = self._rungs.get(height)
        if rung is None:
            return
        if tag.is_header:
            setup = Setup.read(tag.payload[5:], self._aac)
            self._publication.describe(rung.name, self.number, setup)
            rung.writer = Writer(setup, RungEdges(self._marks, self._publication.pace))
            for sound in self._sounds:
                rung.writer.take(sound)
        elif rung.writer is not None:
            for part in rung.writer.take(tag):
                self.run.take(rung.name, part)

    def lost(self, cause: str, again_in_s: float | None) -> None:
        """As `transcoding.Taker`."""
        self._died = True
        for rung in self._rungs.values():
            rung.writer = None
            self.run.down[rung.name] = True
        self._listener.died(self, cause, again_in_s)

    def ended(self) -> None:
        """As `transcoding.Taker`."""
        for rung in self._rungs.values():
            self._flush(rung)

    def dropped(self, height: int, reason: DropReason) -> None:
        """As `transcoding.Taker`."""
        rung = self._rungs.pop(height, None)
        if rung is not None:
            self.run.down.pop(rung.name, None)
            self._listener.dropped(self, rung.name, reason)

    def _flush(self, rung: Rung) -> None:
        if rung.writer is not None:
            writer, rung.writer = rung.writer, None
            for part in writer.flush():
                self.run.take(rung.name, part)

    def _began(self, discontinuity: int, msn: int) -> None:
        self._listener.began(self, discontinuity, msn)

    def _shown(self, name: str, part: Part) -> None:
        self._punctuality.shown(name, part, self._clock.monotonic())

    def _published(self, name: str) -> None:
        self._listener.published(self, name)
