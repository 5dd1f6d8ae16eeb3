"""The items of the live log: everything a viewer must see, in the public contract's own words.

A logged item carries neither `seq` nor `at`: the log gives both when it takes the message, and `codec.splice` puts
them in front when the item is delivered. Unknown fields are ignored, so that an older gateway reads a newer log.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Time = Annotated[str, Meta(description="RFC 3339 with milliseconds, UTC", examples=["2026-11-21T04:35:54.123Z"])]
CommentId = Annotated[str, Meta(pattern=r"^[0-9]{1,19}$", description="64-bit Snowflake, decimal")]
StreamId = Annotated[str, Meta(description="UUIDv7")]
Seq = Annotated[int, Meta(ge=0, lt=2**53, description="position in the log")]


class User(Struct, frozen=True, kw_only=True):
    """Who said it: a snapshot of when it was posted."""

    id: str
    name: str
    picture: str | None = None
    badges: list[str] = field(default_factory=list)


class StreamSettings(Struct, frozen=True, kw_only=True):
    """What a creator or moderator may set; every field is in force on every gateway within a second."""

    slow_mode_s: Annotated[int, Meta(ge=0, le=3600)] = 0
    followers_only: bool = False
    moderation: Literal["open", "hold"] = "open"
    shield: bool = False
    banned_words: Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=500)] = field(
        default_factory=list
    )


class PublicSettings(Struct, frozen=True, kw_only=True):
    """The settings every viewer is told; the banned words themselves stay with the moderators."""

    slow_mode_s: int = 0
    followers_only: bool = False
    moderation: Literal["open", "hold"] = "open"
    shield: bool = False


class Comment(Struct, frozen=True, kw_only=True, tag="comment"):
    """A comment as it was posted; `created_at` is the gateway's clock."""

    comment_id: CommentId
    user: User
    text: str
    parent_comment_id: CommentId | None = None
    created_at: Time


class Removed(Struct, frozen=True, kw_only=True, tag="removed"):
    """A comment is gone. In catch-up it also stands in the removed comment's own place, with that `seq`."""

    comment_id: CommentId
    reason: Literal["author", "creator", "moderator", "automatic", "purged"]


class Restored(Struct, frozen=True, kw_only=True, tag="restored"):
    """A removed comment is back, with its full text."""

    comment: Comment


class Purged(Struct, frozen=True, kw_only=True, tag="purged"):
    """All comments of one user in this stream are gone."""

    user_id: str
    reason: str = "moderator"


class Pinned(Struct, frozen=True, kw_only=True, tag="pinned"):
    """A comment is pinned; it replaces the one pinned before."""

    comment_id: CommentId
    by: str


class Unpinned(Struct, frozen=True, kw_only=True, tag="unpinned"):
    """The pinned comment is no longer pinned."""

    comment_id: CommentId
    by: str


class Highlighted(Struct, frozen=True, kw_only=True, tag="highlighted"):
    """The creator drew attention to a comment."""

    comment_id: CommentId
    by: str


class Settings(Struct, frozen=True, kw_only=True, tag="settings"):
    """Title, description, privacy or settings changed, or a scheduled stream went live; `revision` is that of the record in KV.

    `status` is null in events from before it was told.
    """

    title: str
    description: str
    privacy: Literal["public", "followers", "private"]
    settings: PublicSettings
    status: Literal["scheduled", "live", "ended"] | None = None
    revision: int


class Live(Struct, frozen=True, kw_only=True, tag="live"):
    """The video runs."""

    revision: int


class Interrupted(Struct, frozen=True, kw_only=True, tag="interrupted"):
    """The encoder is gone and may come back."""

    revision: int


class Ended(Struct, frozen=True, kw_only=True, tag="ended"):
    """The stream has ended; what follows it in the log is only what was acknowledged at the same moment."""

    revision: int
    ended_at: Time


class Recording(Struct, frozen=True, kw_only=True, tag="recording"):
    """The recording is ready."""

    recording_id: str
    hls_url: str
    mp4_url: str | None = None
    duration_s: float


Item = (
    Comment | Removed | Restored | Purged | Pinned | Unpinned | Highlighted | Settings | Live | Interrupted | Ended | Recording
)

REACTIONS = ("like", "love", "haha", "wow", "sad", "angry")
ReactionType = Literal["like", "love", "haha", "wow", "sad", "angry"]
