"""The video of one stream: at most one publisher, at most one running generation, and what happens when either goes.

The video is `live` from the first segment that can be fetched, `interrupted` when no publisher has been there for a
moment, `live` again with the next first segment, and `ended` when the stream is over.
"""

import asyncio
from pathlib import Path

from msgspec import Struct

from infra.clock import Clock
from infra.telemetry import logs, metrics
from workers.media import command
from workers.media.feed import Feed, Move
from workers.media.flv import Tag
from workers.media.generation import SOURCE_NAME, Generation, Role
from workers.media.patience import Patience
from workers.media.publication import Publication
from workers.media.publisher import Publisher
from workers.media.report import Report
from workers.media.slots import Slots

#: Starts of one ffmpeg in a row that may fail: the transcoder is done without then, the publisher is not.
ATTEMPTS = 6


class Terms(Struct, frozen=True, kw_only=True):
    """How broadcasts are made on this worker."""

    ffmpeg: Path
    #: Lines of the transcoded rendition; 0 for none.
    transcode_height: int = 360
    #: Seconds without a publisher after which the video is called interrupted.
    interrupt_s: float = 1.0


class Broadcast:
    """Used from the event loop only. `take` never blocks: a slow disk or ffmpeg costs its rendition, not reading."""

    def __init__(self, *, publication: Publication, report: Report, clock: Clock, slots: Slots, terms: Terms) -> None:
        self.ended = False
        self.publisher: Publisher | None = None
        self.generation: Generation | None = None
        self._publication = publication
        self._report = report
        self._clock = clock
        self._slots = slots
        self._terms = terms
        self._has_slot = False
        self._feed = Feed()
        self._began = 0.0
        self._fresh: set[str] = set()
        self._patience: dict[Role, Patience] = {}
        self._transcoding = True
        self._interruption: asyncio.TimerHandle | None = None
        self._log = logs.get(__name__).bind(stream_id=publication.folder.name)

    def attach(self, publisher: Publisher) -> None:
        """*publisher* sends from now on; one that was there is cut: its half-open past must not lock an encoder out."""
        if self.publisher is not None:
            self.publisher.cut("Another encoder publishes with this key.")
            self._put_down()
        if self._interruption is not None:
            self._interruption.cancel()
        self.publisher = publisher
        self._feed = Feed()
        self._patience = {role: Patience(ATTEMPTS) for role in Role}
        self._transcoding = True
        self._log.info("publishing", peer=publisher.peer)

    def take(self, publisher: Publisher, tag: Tag) -> None:
        """One tag from *publisher*; ignored when it is no longer the one.

        Raises:
            flv.Unsupported: a codec that is not taken.
        """
        if publisher is not self.publisher:
            return
        match self._feed.take(tag, self._clock.now_ms(), round(self._publication.longest() * 1000)):
            case Move.BEGIN:
                self._begin(tag)
            case Move.CARRY if self.generation is not None:
                self.generation.feed(tag)
            case Move.STOP if self.generation is not None:
                self._log.info("the encoder's clock jumped", timestamp_ms=tag.timestamp)
                self.generation.finish()
            case _:
                pass

    def leave(self, publisher: Publisher) -> None:
        """*publisher*'s connection is gone."""
        if publisher is not self.publisher:
            return
        self.publisher = None
        self._put_down()
        self._log.info("publisher gone", peer=publisher.peer)
        self._interruption = asyncio.get_running_loop().call_later(self._terms.interrupt_s, self._interrupted)

    def cut(self, reason: str) -> None:
        """Close the publisher, if there is one."""
        publisher = self.publisher
        if publisher is not None:
            publisher.cut(reason)
            self.leave(publisher)

    async def end(self) -> None:
        """The stream is over: publish what there is, close the playlists for good, say so."""
        self.ended = True
        self.cut("The stream has ended.")
        if self._interruption is not None:
            self._interruption.cancel()
        await self.quiet()
        await self._publication.finish()
        self._report.tell("ended", [])

    async def drain(self) -> None:
        """This worker stops: publish what there is and say that the video is interrupted."""
        self.cut("The server restarts; publish again.")
        if self._interruption is not None:
            self._interruption.cancel()
        await self.quiet()
        self._interrupted()
        await self._report.settled()

    async def quiet(self) -> None:
        """Wait until everything taken so far is published or lost."""
        if self.generation is not None:
            await self.generation.finished()

    async def published(self, generation: Generation, name: str) -> None:
        """A segment can be fetched: the first ones of a generation change what viewers are told."""
        if generation is not self.generation or self.publisher is None or name in self._fresh:
            return
        self._fresh.add(name)
        if name == SOURCE_NAME:
            await self._publication.keep_only(generation.names())
        if SOURCE_NAME in self._fresh:
            self._report.tell("live", self._publication.qualities(self._fresh))

    def failed(self, generation: Generation, role: Role, error: Exception) -> None:
        """An ffmpeg is gone, or the disk is."""
        publisher = self.publisher
        if isinstance(error, OSError):
            self._log.error("the media folder cannot be written; make room or set OVATION_MEDIA_URL", error=str(error))
            if generation is self.generation:
                self.cut("The server cannot store video at the moment.")
            return
        if generation is not self.generation or publisher is None:
            self._log.warning("ffmpeg failed while finishing", role=role.value, error=str(error))
            return
        delay = self._patience[role].delay(self._clock.monotonic() - self._began)
        metrics.FFMPEG_RESTARTS.inc()
        self._log.warning("ffmpeg failed", role=role.value, error=str(error), again_in_s=delay)
        if delay is not None:
            asyncio.get_running_loop().call_later(delay, self._again, generation)
        elif role is Role.PASSTHROUGH:
            self.cut("The server cannot read this video.")
        else:
            self._log.error("the transcoder keeps failing; passing through only until the encoder returns")
            self._transcoding = False
            self._again(generation)

    def _begin(self, tag: Tag) -> None:
        previous = self.generation
        if previous is not None:
            previous.finish()
        self._began = self._clock.monotonic()
        self._fresh = set()
        self.generation = Generation(
            publication=self._publication,
            timeline=self._feed.timeline,
            listener=self,
            ffmpeg=self._terms.ffmpeg,
            transcode_height=self._choose_height,
            previous=previous,
        )
        self.generation.begin(self._feed.preamble, tag)

    def _again(self, generation: Generation) -> None:
        if generation is self.generation and self.publisher is not None:
            self._feed.renew(running=True)

    def _choose_height(self, source: int) -> int | None:
        height = command.rung_height(source, self._terms.transcode_height) if self._transcoding else None
        if height is not None and not self._has_slot:
            self._has_slot = self._slots.take()
            if not self._has_slot:
                self._log.warning("no processor time for another transcode; passing through only")
                return None
        return height

    def _put_down(self) -> None:
        if self.generation is not None:
            self.generation.finish()
        if self._has_slot:
            self._has_slot = False
            self._slots.give()

    def _interrupted(self) -> None:
        if self._report.state == "live":
            self._report.tell("interrupted", self._publication.qualities(self._fresh))
