"""One stream's events, as `schemas.media` has them: what happened, with who tells it, when, and where the media stood."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from msgspec import structs

from infra.clock import Clock
from infra.telemetry import metrics
from schemas.media import (
    MAX_TEXT,
    About,
    DropReason,
    EncoderWarned,
    Event,
    GenerationBegan,
    Ingest,
    IngestStarted,
    IngestStopped,
    MediaClock,
    RecordingFailed,
    RecordingReady,
    RenditionDropped,
    RenditionReady,
    StopReason,
    TranscoderDied,
    TranscoderRestarted,
    Warned,
)
from schemas.records import RECORDING_HLS, Recorded, mp4_path, recording_url
from schemas.times import rfc3339
from workers.media.journal import Journal
from workers.media.master import Variant
from workers.media.publisher import Publisher


class Where(NamedTuple):
    """Whose stream it is, and where its media stands: the owner's lease, the newest generation, and the media clock."""

    lease: int
    generation: int
    clock: MediaClock | None


class Chronicle:
    """Keeps what the last event has to say of the encoder; all else is told as it happens. Nothing here blocks or raises."""

    def __init__(self, journal: Journal, stream_id: str, clock: Clock, where: Callable[[], Where]) -> None:
        self._journal = journal
        self._stream_id = stream_id
        self._clock = clock
        self._where = where
        self._ingest: Ingest | None = None
        self._since = 0.0
        self._died = 0.0

    def started(self, publisher: Publisher) -> None:
        """*publisher* is the encoder from now on."""
        now = self._clock.monotonic()
        away = None if self._ingest is None else round((now - self._since) * 1000)
        self._since = now
        self._ingest = Ingest(state="publishing", encoder=publisher.encoder or None, transport=publisher.transport, warnings=[])
        self._tell(IngestStarted, away_ms=away)

    def stopped(self, reason: StopReason, text: str = "") -> None:
        """The encoder is gone; does nothing where there was none."""
        if self._ingest is None or self._ingest.state == "away":
            return
        now = self._clock.monotonic()
        published, self._since = round((now - self._since) * 1000), now
        self._describe(state="away")
        self._tell(IngestStopped, reason=reason, text=text[:MAX_TEXT], published_ms=published)

    def named(self, encoder: str, frame_rate: float) -> None:
        """What the encoder says of itself."""
        if encoder:
            self._describe(encoder=encoder)
        if frame_rate:
            self._describe(frame_rate=frame_rate)

    def sends(self, codecs: str, width: int, height: int) -> None:
        """What its decoders' set-up says."""
        self._describe(codecs=codecs, width=width or None, height=height or None)

    def began(self, discontinuity: int, media_sequence: int, target_s: int, renditions: Sequence[str]) -> None:
        """A generation's first part can be fetched."""
        metrics.GENERATIONS.inc()
        self._tell(
            GenerationBegan,
            discontinuity=discontinuity,
            media_sequence=media_sequence,
            target_duration_s=target_s,
            renditions=list(renditions),
        )

    def ready(self, variant: Variant, *, passed_through: bool) -> None:
        """A rendition's first segment can be fetched."""
        bit_rate = round(variant.bits / variant.seconds) if variant.seconds else 0
        if passed_through:
            self._describe(bit_rate=bit_rate, frame_rate=round(variant.frame_rate, 3) or None)
        self._tell(
            RenditionReady,
            rendition=variant.name,
            codecs=variant.codecs,
            width=variant.width,
            height=variant.height,
            frame_rate=round(variant.frame_rate, 3),
            bit_rate=bit_rate,
        )

    def dropped(self, rendition: str, reason: DropReason) -> None:
        """A rendition is not made."""
        metrics.RENDITIONS_DROPPED.labels(reason).inc()
        self._tell(RenditionDropped, rendition=rendition, reason=reason)

    def warned(self, about: About, text: str) -> None:
        """The encoder was told *text*. The newest of each kind is kept for who asks later."""
        if self._ingest is not None:
            others = [each for each in self._ingest.warnings if each.about != about]
            self._describe(warnings=[*others, Warned(about=about, text=text[:MAX_TEXT])])
        self._tell(EncoderWarned, about=about, text=text[:MAX_TEXT])

    def died(self, text: str, again_in_s: float | None) -> None:
        """The transcoder is gone."""
        self._died = self._clock.monotonic()
        self._tell(TranscoderDied, text=text[:MAX_TEXT], again_in_s=again_in_s)

    def restarted(self) -> None:
        """It is back."""
        self._tell(TranscoderRestarted, away_ms=round((self._clock.monotonic() - self._died) * 1000))

    def recorded(self, recording: Recorded) -> None:
        """The recording can be played."""
        mp4 = mp4_path(recording)
        self._tell(
            RecordingReady,
            recording_id=recording.recording_id,
            duration_ms=recording.duration_ms,
            size_bytes=recording.size_bytes,
            hls_url=recording_url(self._stream_id, RECORDING_HLS),
            mp4_url=recording_url(self._stream_id, mp4) if mp4 else None,
        )

    def unrecorded(self, text: str, *, again: bool) -> None:
        """The recording could not be made or kept; *again*: it is tried again soon."""
        self._tell(RecordingFailed, recording_id=self._stream_id, text=text[:MAX_TEXT], again=again)

    def _describe(self, **changed: object) -> None:
        if self._ingest is not None:
            self._ingest = structs.replace(self._ingest, **changed)

    def _tell(self, kind: Callable[..., Event], **facts: object) -> None:
        where = self._where()
        self._journal.tell(
            kind(
                stream_id=self._stream_id,
                lease=where.lease,
                generation=where.generation,
                worker=self._journal.worker,
                at=rfc3339(self._clock.now_ms()),
                clock=where.clock,
                ingest=self._ingest,
                **facts,
            )
        )
