"""Requests and answers of the HTTP API. Unknown request fields are ignored."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from schemas.items import ReactionType, StreamSettings, Time, User
from schemas.media import Ingest
from schemas.records import Broadcaster, Privacy, Status, Video

Title = Annotated[str, Meta(min_length=1, max_length=500)]
Description = Annotated[str, Meta(max_length=5000)]


class NewSession(Struct, kw_only=True):
    """`POST /session`."""

    name: str


class SessionUser(Struct, kw_only=True):
    """Who a guest is."""

    id: str
    name: str


class Session(Struct, kw_only=True):
    """A guest's credential."""

    token: str
    user: SessionUser
    expires_at: Time


class Ticket(Struct, kw_only=True):
    """A read-only credential for one stream, for `?ticket=`."""

    ticket: str
    expires_at: Time


class NewStream(Struct, kw_only=True):
    """`POST /streams/start`; with `scheduled_for` it waits for its start."""

    title: Title
    #: null says the same as nothing, as in the other fields that may be left out.
    description: Description | None = None
    privacy: Privacy = "public"
    scheduled_for: str | None = None


class StartedStream(Struct, kw_only=True):
    """A new stream. The key is shown here and never again; `rtmps_url` is null where RTMPS is not offered."""

    stream_id: str
    rtmp_url: str
    rtmps_url: str | None
    stream_key: str
    status: Status
    video: Video
    started_at: Time | None
    scheduled_for: Time | None
    watch_url: str


class EndedStream(Struct, kw_only=True):
    """An ended stream; `recording_url` is null until the recording is ready."""

    stream_id: str
    status: Status
    ended_at: Time
    total_viewers: int
    total_comments: int
    recording_url: str | None


class StreamIngest(Ingest, frozen=True, kw_only=True):
    """What the encoder sends, and how it should be set otherwise; as of `at`, when something about it last changed."""

    at: Time


class Stream(Struct, kw_only=True):
    """One stream, as everybody may see it. `ingest` is for its creator and moderators, where one stream is asked for.

    `thumbnail_url` is the newest picture (JPEG, at most 640 pixels wide, some 30 s old while live; caches keep it for 10 s).
    `strip_url` is WebVTT whose cues name parts of one JPEG (`...jpg#xywh=x,y,160,90`): at most 100 pictures, evenly over all
    that was shown. While live it is replaced every 30 s (caches keep it for 10 s) and counts from the time that its NOTE gives;
    a recording's counts from the recording's beginning.
    """

    stream_id: str
    broadcaster: Broadcaster
    title: str
    description: str
    privacy: Privacy
    status: Status
    is_live: bool
    video: Video
    viewer_count: int
    comment_count: int
    reaction_count: int
    reactions: dict[str, int]
    created_at: Time
    started_at: Time | None
    ended_at: Time | None
    scheduled_for: Time | None
    stream_url: str
    thumbnail_url: str | None
    strip_url: str | None
    settings: StreamSettings
    last_seq: int
    ingest: StreamIngest | None = None


class StreamPage(Struct, kw_only=True):
    """A page of streams, newest first."""

    streams: list[Stream]
    next_cursor: str | None
    limit: int


class Watch(Struct, kw_only=True):
    """Where the video is; `hls_url` ends at `expires_at` where the stream is not public: ask again."""

    stream_id: str
    hls_url: str
    expires_at: Time | None
    qualities: list[str]
    viewer_count: int
    is_live: bool
    video: Video


class FinishedRecording(Struct, kw_only=True):
    """A recording that can be played.

    `mp4_url` is null where the encoder changed its format during the broadcast. `size_bytes` are the MP4's; without one, those
    of the best rendition. `poster_url` (JPEG) and `strip_url` (as a stream's) are null where they could not be made. MP4 and
    pictures never change: a recording that is made anew, because some of it came home late, has them at other addresses.
    """

    recording_id: str
    hls_url: str
    mp4_url: str | None
    poster_url: str | None
    strip_url: str | None
    duration_s: float
    size_bytes: int
    created_at: Time


class SettingsChange(Struct, kw_only=True):
    """Settings to change; what is left out stays."""

    slow_mode_s: Annotated[int, Meta(ge=0, le=3600)] | UnsetType = UNSET
    followers_only: bool | UnsetType = UNSET
    moderation: Literal["open", "hold"] | UnsetType = UNSET
    shield: bool | UnsetType = UNSET
    banned_words: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=500)] | UnsetType = UNSET


class StreamChange(Struct, kw_only=True):
    """`PATCH /streams/{id}`; what is left out stays."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    privacy: Privacy | UnsetType = UNSET
    settings: SettingsChange | UnsetType = UNSET


class NewKey(Struct, kw_only=True):
    """A rotated key; the old one stopped at once."""

    stream_id: str
    stream_key: str
    rtmp_url: str
    rtmps_url: str | None


class Follow(Struct, kw_only=True):
    """Whether the caller follows a person, and since when."""

    user_id: str
    following: bool
    since: Time | None


class Invitation(Struct, kw_only=True):
    """Somebody who may watch a private stream."""

    user_id: str
    invited_at: Time


class InvitationPage(Struct, kw_only=True):
    """A page of invitations, the oldest first."""

    invitations: list[Invitation]
    next_cursor: str | None
    limit: int


class NewComment(Struct, kw_only=True):
    """`POST /streams/{id}/comments`."""

    text: str
    parent_comment_id: str | None = None


class PostedComment(Struct, kw_only=True, tag="comment"):
    """A comment as its author gets it back; `seq` is null while it is held.

    `sampled`: the stream says more than is shown at the moment, so some viewers may not be shown this one. False where the
    gateway that answers has no viewer of the stream, and in what is read back.
    """

    comment_id: str
    seq: int | None
    stream_id: str
    user: User
    user_id: str
    text: str
    parent_comment_id: str | None
    created_at: Time
    at: Time | None
    status: Literal["visible", "held", "removed"]
    sampled: bool


class RemovedComment(Struct, kw_only=True, tag="removed"):
    """What stands in a removed comment's place."""

    comment_id: str
    seq: int
    at: Time
    reason: str


class CommentPage(Struct, kw_only=True):
    """A page of comments; removed ones have their placeholder."""

    comments: list[PostedComment | RemovedComment]
    next_cursor: str | None
    limit: int
    total: int
    total_is_exact: bool


class Thread(Struct, kw_only=True):
    """The replies to a comment, oldest first."""

    comments: list[PostedComment | RemovedComment]
    next_cursor: str | None
    limit: int


class NewReaction(Struct, kw_only=True):
    """`POST /streams/{id}/reactions`."""

    reaction_type: ReactionType


class CountedReaction(Struct, kw_only=True):
    """A tap, counted durably."""

    reaction_id: str
    reaction_type: ReactionType
    total_reactions: dict[str, int] = field(default_factory=dict)
