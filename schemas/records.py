"""The stream record: the KV value that is the authority on a stream until it has ended, and the store's row after.

Its KV revision is the `Nats-Msg-Id` of the item that tells viewers of the change, so that a writer which dies between
the two is healed by whoever sees the revision next.
"""

import hashlib
import hmac
import secrets
from typing import Literal

from msgspec import Struct, field

from schemas.items import Ended, Interrupted, Item, Live, PublicSettings, Recording, Settings, StreamSettings
from schemas.times import rfc3339

Change = Literal["", "settings", "live", "interrupted", "ended", "recording"]
Status = Literal["scheduled", "live", "ended"]
Video = Literal["waiting", "live", "interrupted", "ended"]
Privacy = Literal["public", "followers", "private"]


#: Where the multivariant playlist of the live video is, below the stream's own address.
LIVE_HLS = "master.m3u8"
#: Where a recording's multivariant playlist and its MP4 are, below the stream's own address and in the home of objects.
RECORDING_HLS = "recording/master.m3u8"
RECORDING_MP4 = "recording/recording.mp4"
#: Its own poster, and its strip of small pictures: the cues, which name the picture that they are parts of.
RECORDING_POSTER = "recording/poster.jpg"
RECORDING_STRIP = "recording/strip.vtt"
#: Where a stream's newest picture is, and its last one once it has ended.
POSTER = "poster.jpg"
#: Where the strip of what was live so far is, until there is a recording.
STRIP = "strip/index.vtt"


class Broadcaster(Struct, frozen=True, kw_only=True):
    """Who owns the stream."""

    id: str
    name: str
    picture: str | None = None


class Recorded(Struct, frozen=True, kw_only=True):
    """A recording that can be played: `duration_ms` of media, `created_at` when it became ready.

    `size_bytes` are those of its MP4, or where it has none (`mp4`) of its best rendition's segments. `pictures`: it has a
    poster and a strip. `version` names what it was made of (see `versioned`): another one where segments came home late.
    """

    recording_id: str
    duration_ms: int
    size_bytes: int
    created_at: int
    mp4: bool = True
    pictures: bool = False
    version: str = ""


class StreamRecord(Struct, frozen=True, kw_only=True):
    """One stream. Times are milliseconds since the epoch; `shard` pins the live log and never changes."""

    stream_id: str
    broadcaster: Broadcaster
    title: str
    description: str = ""
    privacy: Privacy = "public"
    status: Status = "live"
    video: Video = "waiting"
    shard: int = 0
    key_sha256: str
    settings: StreamSettings = field(default_factory=StreamSettings)
    qualities: list[str] = field(default_factory=list)
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    scheduled_for: int | None = None
    #: `None` until the recording is ready, and again once it is no longer kept.
    recording: Recorded | None = None
    #: Whether there is a picture of it: `poster.jpg` below the stream's own address.
    poster: bool = False
    #: Whether there is a strip of what was live so far.
    strip: bool = False
    #: What the last write changed: names the item that tells viewers, "" when none does.
    change: Change = ""


def hls_path(record: StreamRecord) -> str:
    """Where a stream's multivariant playlist is, below the stream's own address: the recording's as soon as there is one."""
    return RECORDING_HLS if record.recording is not None else "master.m3u8"


def versioned(path: str, version: str) -> str:
    """*path* of one version of a recording. What caches keep for ever has another address when it is made anew."""
    stem, dot, suffix = path.rpartition(".")
    return f"{stem}-{version}{dot}{suffix}" if version else path


def mp4_path(made: Recorded) -> str | None:
    """Where a recording's MP4 is, below the stream's own address; `None` where it has none."""
    return versioned(RECORDING_MP4, made.version) if made.mp4 else None


def strip_path(record: StreamRecord) -> str | None:
    """Where a stream's strip is, below the stream's own address: the recording's as soon as there is one."""
    made = record.recording
    if made is not None:
        return versioned(RECORDING_STRIP, made.version) if made.pictures else None
    return STRIP if record.strip else None


def recording_url(stream_id: str, path: str) -> str:
    """The address of a part of the recording, relative to the gateway's own."""
    return f"/hls/{stream_id}/{path}"


def new_stream_key(stream_id: str) -> str:
    """Make a stream key: it names its stream, so that one KV read finds the record, and carries 256 random bits."""
    return f"{stream_id}_{secrets.token_urlsafe(32)}"


def key_digest(key: str) -> str:
    """What the record keeps of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def key_matches(record: StreamRecord, key: str) -> bool:
    """Tell whether *key* is the record's, in constant time."""
    return hmac.compare_digest(record.key_sha256, key_digest(key))


def stream_of_key(key: str) -> str:
    """The stream id a key names; the empty string when it has not even the form of one."""
    return key.partition("_")[0]


def announcement(record: StreamRecord, revision: int) -> Item | None:
    """The item that tells viewers of *revision*; `None` when the change concerns nobody (a rotated key)."""
    match record.change:
        case "settings":
            s = record.settings
            return Settings(
                title=record.title,
                description=record.description,
                privacy=record.privacy,
                settings=PublicSettings(
                    slow_mode_s=s.slow_mode_s,
                    followers_only=s.followers_only,
                    moderation=s.moderation,
                    shield=s.shield,
                ),
                status=record.status,
                revision=revision,
            )
        case "live":
            return Live(revision=revision)
        case "interrupted":
            return Interrupted(revision=revision)
        case "ended":
            return Ended(revision=revision, ended_at=rfc3339(record.ended_at or 0))
        case "recording" if record.recording is not None:
            mp4 = mp4_path(record.recording)
            return Recording(
                recording_id=record.recording.recording_id,
                hls_url=recording_url(record.stream_id, RECORDING_HLS),
                mp4_url=recording_url(record.stream_id, mp4) if mp4 else None,
                duration_s=record.recording.duration_ms / 1000,
            )
        case _:
            return None
