"""The WebSocket protocol: what a client may send, and what it gets. Every message is a JSON object with a `type`.

`comments_batch`, `reactions_batch`, `viewer_count`, `gap` and `reconnect` are built by `gateway.fanout.ws`; these structs
are their contract. Unknown fields are ignored on both sides, and so are message types a client does not know.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from schemas.delivery import Sampled
from schemas.items import Item, ReactionType, Seq, Time

IdempotencyKey = Annotated[str, Meta(description="1-128 printable ASCII characters")]


class JoinStream(Struct, kw_only=True, tag="join_stream"):
    """Watch a stream, and no longer the one before. Without `last_seen_seq` it begins with the newest 50 items."""

    stream_id: str
    last_seen_seq: Seq | None = None


class LeaveStream(Struct, kw_only=True, tag="leave_stream"):
    """Watch nothing; the connection stays."""


class PostComment(Struct, kw_only=True, tag="post_comment"):
    """Say something. Answered with an `ack` under the same key; the same key again is the same comment."""

    stream_id: str
    content: str
    idempotency_key: IdempotencyKey
    parent_id: str | None = None


class React(Struct, kw_only=True, tag="react"):
    """A tap on the stream. Nothing answers it but the next `reactions_batch`, or an `error`.

    One on a single comment (`comment_id`) is not counted yet: VALIDATION.
    """

    stream_id: str
    reaction_type: ReactionType
    comment_id: str | None = None


Command = JoinStream | LeaveStream | PostComment | React


class CommentsBatch(Struct, frozen=True, kw_only=True, tag="comments_batch"):
    """Everything durable, in log order; `prev` equals the `to` before it since the stream was joined."""

    stream_id: str
    prev: Seq
    from_: Seq = field(name="from")
    to: Seq
    comments: list[Item]
    is_backfill: bool
    sampled: Sampled | None = None


class GapTold(Struct, frozen=True, kw_only=True, tag="gap"):
    """What cannot be delivered, both ends inclusive; the next `prev` equals `to`."""

    stream_id: str
    from_: Seq = field(name="from")
    to: Seq
    reason: Literal["expired", "reset", "unavailable"]


class ReactionsBatch(Struct, frozen=True, kw_only=True, tag="reactions_batch"):
    """Reactions since the last one, and the totals. Ephemeral."""

    stream_id: str
    counts: dict[str, int]
    totals: dict[str, int]
    at: Time


class ViewerCountTold(Struct, frozen=True, kw_only=True, tag="viewer_count"):
    """Viewers over all gateways. Ephemeral."""

    stream_id: str
    count: int
    approximate: bool


class Ack(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="ack"):
    """What became of a `post_comment`. Accepted means durable; acks may come in any order, and before or after the comment."""

    idempotency_key: str
    comment_id: str | None
    seq: int | None
    status: Literal["accepted", "held", "rate_limited", "rejected"]
    code: str | None = None
    field: str | None = None
    retry_after: int | None = None
    message: str | None = None


class Refused(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="error"):
    """A command was refused, and the connection stays. `command` is the type of the command, where it could be read."""

    code: str
    message: str
    retryable: bool
    command: str | None = None
    field: str | None = None
    retry_after: int | None = None


class Reconnect(Struct, frozen=True, kw_only=True, tag="reconnect"):
    """This connection is about to be closed: come back after so many milliseconds, with the `to` seen last."""

    retry_ms: int


Message = CommentsBatch | GapTold | ReactionsBatch | ViewerCountTold | Ack | Refused | Reconnect
