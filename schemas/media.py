"""The events of the `MEDIA` log: what happened to a stream's video, for who runs the servers and who looks back at a show.

Every event says when twice: `at` on the wall clock of the worker that saw it, and `clock`, the media that viewers could fetch
by then. It says who told it (`worker`, `lease`) and of which `generation`: of an event whose `lease` is below that of one
before it in the log a reader takes what happened, never how things are now. There is never a stream key or an address.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from schemas.items import StreamId, Time

Lease = Annotated[
    int, Meta(ge=0, description="revision of the owner's lease, above every owner's before; 0: not told by an owner")
]
Generation = Annotated[int, Meta(ge=0, description="as in the names of segments; 0 before the first one")]
Milliseconds = Annotated[int, Meta(ge=0)]
BitRate = Annotated[int, Meta(ge=0, description="bits per second")]
#: What an encoder or FFmpeg says of itself is cut to this.
MAX_TEXT = 300

About = Literal["keyframes", "bit_rate", "codec"]
#: `closed`: it said that it stops; `lost`: the connection ended without a word; `timed_out`: it fell silent; `replaced`: by
#: another encoder with the same key; `cut`: by us, the text says why.
StopReason = Literal["closed", "lost", "timed_out", "replaced", "cut"]
#: `slow`: it could not keep up; `failing`: FFmpeg kept dying; `budget`: there is no processor time for it.
DropReason = Literal["slow", "failing", "budget"]


class MediaClock(Struct, frozen=True, kw_only=True):
    """A point of a stream's media, in both its times.

    `program_date_time` is that of the playlists, and never goes back; `media_ms` is on the encoder's own clock, which begins
    anew with each of its connections, and null where another worker made that media.
    """

    program_date_time: Time
    media_ms: int | None


class Warned(Struct, frozen=True, kw_only=True):
    """What the broadcaster should set otherwise, in words for the broadcaster."""

    about: About
    text: str


class Ingest(Struct, frozen=True, kw_only=True):
    """What an encoder sends, as far as it is known; `state` is `away` while there is none."""

    state: Literal["publishing", "away"]
    encoder: str | None = None
    transport: Literal["rtmp", "rtmps"] = "rtmp"
    codecs: str | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: float | None = None
    bit_rate: BitRate | None = None
    warnings: list[Warned]


class Happened(Struct, frozen=True, kw_only=True):
    """What all events say. `ingest` is how things were after the event, so that the last event tells them."""

    stream_id: StreamId
    lease: Lease
    generation: Generation
    worker: str
    at: Time
    clock: MediaClock | None
    ingest: Ingest | None


class IngestStarted(Happened, frozen=True, kw_only=True, tag="ingest_started"):
    """An encoder publishes. `away_ms`: how long this worker had been without one; null where it had none before."""

    away_ms: Milliseconds | None


class IngestStopped(Happened, frozen=True, kw_only=True, tag="ingest_stopped"):
    """The encoder is gone. `text` is what it was told, or why its connection ended."""

    reason: StopReason
    text: str
    published_ms: Milliseconds


class GenerationBegan(Happened, frozen=True, kw_only=True, tag="generation_began"):
    """Viewers can fetch the first part of a generation: from here on there is one more discontinuity in all renditions."""

    discontinuity: int
    media_sequence: int
    target_duration_s: int
    renditions: list[str]


class RenditionReady(Happened, frozen=True, kw_only=True, tag="rendition_ready"):
    """The first whole segment of a rendition in this generation can be fetched; sizes, rates and codecs are measured."""

    rendition: str
    codecs: str
    width: int
    height: int
    frame_rate: float
    bit_rate: BitRate


class RenditionDropped(Happened, frozen=True, kw_only=True, tag="rendition_dropped"):
    """A rendition is not made, or not any more, until the next generation."""

    rendition: str
    reason: DropReason


class EncoderWarned(Happened, frozen=True, kw_only=True, tag="encoder_warned"):
    """The encoder was told what to set otherwise."""

    about: About
    text: str


class TranscoderDied(Happened, frozen=True, kw_only=True, tag="transcoder_died"):
    """The FFmpeg of the lower renditions is gone; they have a gap, the passthrough has none."""

    text: str
    again_in_s: float | None


class TranscoderRestarted(Happened, frozen=True, kw_only=True, tag="transcoder_restarted"):
    """A new FFmpeg's first pictures are there."""

    away_ms: Milliseconds


class RecordingReady(Happened, frozen=True, kw_only=True, tag="recording_ready"):
    """The recording can be played."""

    recording_id: str
    duration_ms: Milliseconds
    size_bytes: Annotated[int, Meta(ge=0)]
    hls_url: str
    mp4_url: str | None


class RecordingFailed(Happened, frozen=True, kw_only=True, tag="recording_failed"):
    """A recording, or a part of it, could not be made or kept. `again`: it is tried again."""

    recording_id: str
    text: str
    again: bool


Event = (
    IngestStarted
    | IngestStopped
    | GenerationBegan
    | RenditionReady
    | RenditionDropped
    | EncoderWarned
    | TranscoderDied
    | TranscoderRestarted
    | RecordingReady
    | RecordingFailed
)
