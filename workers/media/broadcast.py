"""The video of one stream: at most one publisher, at most one running generation, and what happens when either goes.

The video is `live` from the first segment that can be fetched, `interrupted` when no publisher has been there for a
moment, `live` again with the next first segment, and `ended` when the stream is over.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from infra.clock import Clock
from infra.telemetry import logs, metrics
from schemas.media import About, DropReason, MediaClock
from schemas.times import rfc3339
from workers.media import metadata
from workers.media.chronicle import Chronicle, Where
from workers.media.compatible import Compatible
from workers.media.feed import Feed, Move
from workers.media.filing import Filing
from workers.media.flv import AUDIO, AVC, SCRIPT, VIDEO, Tag
from workers.media.generation import Generation
from workers.media.journal import Journal
from workers.media.ladder import Budget, rungs
from workers.media.ownership import Lease
from workers.media.publication import Publication
from workers.media.publisher import LOST, Leaving, Publisher
from workers.media.recording.recorder import Recorder
from workers.media.report import Report
from workers.media.variants import SOURCE

#: Script tags that are read of one encoder: the first has its name, and reading one takes up to a millisecond.
MOST_SCRIPTS = 8


class Terms(Struct, frozen=True, kw_only=True):
    """How broadcasts are made on this worker."""

    ffmpeg: Path
    #: Lines of the transcoded renditions that are wanted.
    heights: tuple[int, ...] = (1080, 720, 480, 360)
    #: Seconds without a publisher after which the video is called interrupted.
    interrupt_s: float = 1.0
    #: Seconds without a publisher after which the stream is given up: playlists leave memory, the lease goes.
    grace_s: float = 30.0
    #: What a part is meant to last.
    part_ms: int = 200


class Broadcast:
    """Used from the event loop only. `take` never blocks: a slow disk or ffmpeg costs its rendition, not reading."""

    def __init__(
        self,
        *,
        folder: Path,
        report: Report,
        journal: Journal,
        clock: Clock,
        budget: Budget,
        terms: Terms,
        forsaken: Callable[[], None],
        recorder: Recorder | None = None,
    ) -> None:
        """*forsaken* is called when no publisher came back within the grace period."""
        self.ended = False
        self.publisher: Publisher | None = None
        self.generation: Generation | None = None
        self.lease: Lease | None = None
        self.filing = Filing(lambda: self.owned, self._unwritable)
        self.publication = Publication(folder, clock, self.filing, terms.part_ms, recorder)
        self.chronicle = Chronicle(journal, folder.name, clock, self._where)
        self._report = report
        self._clock = clock
        self._budget = budget
        self._terms = terms
        self._forsaken = forsaken
        self._paid = 0.0
        self._media: MediaClock | None = None
        self._feed = Feed()
        self._scripts = 0
        self._fresh: set[str] = set()
        self._compatible = Compatible(AVC, ())
        self._timers: list[asyncio.TimerHandle] = []
        self._log = logs.get(__name__).bind(stream_id=folder.name)

    @property
    def owned(self) -> bool:
        """Whether anything may be written of the stream now."""
        return self.lease is not None and self.lease.held

    @property
    def tells(self) -> bool:
        """Whether the stream's record may be told its video's state; that it has ended tells nobody anything wrong."""
        return self.owned or self.ended

    def attach(self, publisher: Publisher) -> None:
        """*publisher* sends from now on; one that was there is cut: its half-open past must not lock an encoder out."""
        if self.publisher is not None:
            reason = "Another encoder publishes with this key."
            self.publisher.cut(reason)
            self._put_down()
            self.chronicle.stopped("replaced", reason)
        self._cancel_timers()
        self.publication.outdate()
        self.publisher = publisher
        self._feed = Feed()
        self._scripts = 0
        self._log.info("publishing", peer=publisher.peer)
        self.chronicle.started(publisher)

    def take(self, publisher: Publisher, tag: Tag) -> None:
        """One tag from *publisher*; ignored when it is no longer the one.

        Raises:
            flv.Unsupported: a codec that is not taken.
        """
        if publisher is not self.publisher:
            return
        match self._feed.take(tag, self._clock.now_ms(), self.publication.longest_ms()):
            case Move.BEGIN:
                self._begin(tag)
            case Move.CARRY if self.generation is not None:
                self.generation.feed(tag)
            case Move.STOP if self.generation is not None:
                self._log.info("the encoder's clock jumped", timestamp_ms=tag.timestamp)
                self._put_down()
            case _ if tag.type == SCRIPT and self._scripts < MOST_SCRIPTS:
                self._scripts += 1
                self.chronicle.named(*metadata.read(tag.payload))
            case _ if tag.type in (AUDIO, VIDEO) and not tag.is_header:
                metrics.INGEST_DROPPED.inc()

    def warned(self, publisher: Publisher, about: About, text: str) -> None:
        """*publisher* was told what to set otherwise."""
        if publisher is self.publisher:
            self.chronicle.warned(about, text)

    def leave(self, publisher: Publisher, leaving: Leaving = LOST) -> None:
        """*publisher*'s connection is gone."""
        if publisher is not self.publisher:
            return
        # A broadcast shorter than what is held back at first is seen here.
        self._put_down()
        self.publisher = None
        self._log.info("publisher gone", peer=publisher.peer, reason=leaving.reason)
        self.chronicle.stopped(*leaving)
        loop = asyncio.get_running_loop()
        self._timers = [
            loop.call_later(self._terms.interrupt_s, self._interrupted),
            loop.call_later(max(self._terms.grace_s, self._terms.interrupt_s), self._forsaken),
        ]

    def cut(self, reason: str) -> None:
        """Close the publisher, if there is one."""
        publisher = self.publisher
        if publisher is not None:
            publisher.cut(reason)
            self.leave(publisher, Leaving("cut", reason))

    async def end(self) -> None:
        """The stream is over: publish what there is, close the playlists for good, say so."""
        self.ended = True
        self.cut("The stream has ended.")
        self._cancel_timers()
        await self.quiet()
        self.publication.finish()
        await self.filing.settled()
        self._report.tell("ended", [])

    async def drain(self) -> None:
        """This worker stops: publish what there is and say that the video is interrupted."""
        self.cut("The server restarts; publish again.")
        self._cancel_timers()
        await self.quiet()
        await self.filing.settled()
        self._interrupted()
        await self._report.settled()
        if self.lease is not None:
            await self.lease.release()

    def lose(self) -> None:
        """Another worker has the stream: nothing is written or told of it from here any more."""
        self.ended = True
        self.cut("Another server took this stream over; publish again.")
        self._cancel_timers()
        self._report.forget()

    def forsake(self) -> None:
        """No publisher came back, and the lease goes: who looks after streams without an owner tells what was not told yet."""
        self._report.forget()

    async def quiet(self) -> None:
        """Wait until everything taken so far is made or lost."""
        if self.generation is not None:
            await self.generation.finished()

    def began(self, generation: Generation, discontinuity: int, msn: int) -> None:
        """As `generation.Listener`."""
        if generation is self.generation:
            self.chronicle.began(discontinuity, msn, self.publication.target or 0, generation.names())

    def published(self, generation: Generation, name: str) -> None:
        """A segment can be fetched: the first ones of a generation change what viewers are told."""
        metrics.SEGMENTS.inc()
        if generation is not self.generation:
            return
        waited = self._compatible.waits
        self._compatible.published(name)
        if name in self._fresh and waited == self._compatible.waits:
            return
        if name not in self._fresh:
            self.chronicle.ready(self.publication.variants[name], passed_through=name == SOURCE)
        if name == SOURCE and name not in self._fresh:
            self.publication.keep_only(generation.names())
        self._fresh.add(name)
        self._tell()

    def died(self, generation: Generation, cause: str, again_in_s: float | None) -> None:
        """As `generation.Listener`."""
        if generation is self.generation:
            self.chronicle.died(cause, again_in_s)

    def restarted(self, generation: Generation) -> None:
        """As `generation.Listener`."""
        if generation is self.generation:
            self.chronicle.restarted()

    def dropped(self, generation: Generation, name: str, reason: DropReason) -> None:
        """A rendition is not made any more."""
        if generation is not self.generation:
            return
        self.chronicle.dropped(name, reason)
        self._fresh &= set(generation.names())
        self.publication.keep_only(generation.names())
        self._advise(generation.heights())
        self._tell()

    def _tell(self) -> None:
        self.publication.variants.hold(held=self._compatible.waits)
        if SOURCE in self._fresh and self.publisher is not None and not self._compatible.waits:
            self._report.tell("live", self.publication.variants.qualities(self._fresh))

    def _advise(self, heights: Sequence[int]) -> None:
        advice = self._compatible.only(heights)
        if advice is not None and self.publisher is not None:
            self.publisher.warn("codec", advice)

    def _begin(self, tag: Tag) -> None:
        previous = self.generation
        self._put_down()
        self._where()
        self._fresh = set()
        generation = Generation(
            number=self.publication.next_generation(self.lease.generation if self.lease is not None else 0),
            publication=self.publication,
            timeline=self._feed.timeline,
            listener=self,
            ffmpeg=self._terms.ffmpeg,
            clock=self._clock,
        )
        height, codec = generation.begin(self._feed.preamble), self._feed.preamble.codec
        if generation.setup is not None:
            picture = generation.setup.picture
            self.chronicle.sends(generation.setup.codecs, picture.width if picture else 0, height)
        heights, self._paid = self._budget.choose(height, self._terms.heights, codec)
        for left in rungs(height, self._terms.heights):
            if left not in heights:
                self.chronicle.dropped(f"{left}p", "budget")
        self._compatible = Compatible(codec, heights)
        self.publication.variants.hold(held=self._compatible.waits)
        self._advise(heights)
        if height and self._terms.heights and not heights:
            self._log.warning("no processor time for another transcode; passing through only")
        if heights:
            generation.transcode(heights, self._feed.preamble, previous.transcoding if previous is not None else None)
        self.generation = generation
        generation.feed(tag)

    def _put_down(self) -> None:
        if self.generation is not None:
            self.generation.finish()
        self._budget.give(self._paid)
        self._paid = 0.0

    def _where(self) -> Where:
        """Of what happens now. The media clock tells what can be fetched: before a run is shown, the last one's."""
        run = self.generation.run if self.generation is not None else None
        if run is not None and run.reached_ms is not None:
            self._media = MediaClock(program_date_time=rfc3339(run.date_ms(run.reached_ms)), media_ms=run.reached_ms)
        elif self._media is None and (end_ms := self.publication.end_ms()):
            self._media = MediaClock(program_date_time=rfc3339(end_ms), media_ms=None)
        return Where(self.lease.generation if self.lease is not None else 0, self.publication.generation, self._media)

    def _unwritable(self, error: OSError) -> None:
        self._log.error("the media folder cannot be written; make room or set OVATION_MEDIA_URL", error=str(error))
        self.cut("The server cannot store video at the moment.")

    def _interrupted(self) -> None:
        self.publication.outdate()
        if self._report.state == "live":
            self._report.tell("interrupted", self.publication.variants.qualities(self._fresh))

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []
