"""Makers of test data: one function per noun, sensible defaults, everything overridable."""

from gateway.removals import Removals
from gateway.shown import Shown, show
from infra.jetstream.feed import FeedMessage
from infra.jetstream.reader import LogMessage
from schemas import codec
from schemas.items import Comment, Item, Removed, User
from schemas.times import rfc3339

STREAM = "018bcfe5-6800-7bb6-bc13-d949c5118ce2"
NOON_MS = 1_800_000_000_000


def comment(number: int, *, text: str | None = None, author: str = "ada", parent: str | None = None) -> Comment:
    """A comment whose id is *number*."""
    return Comment(
        comment_id=str(number),
        user=User(id=author, name=author.title()),
        text=text if text is not None else f"comment {number}",
        parent_comment_id=parent,
        created_at=rfc3339(NOON_MS + number),
    )


def removed(number: int) -> Removed:
    """The removal of comment *number*."""
    return Removed(comment_id=str(number), reason="moderator")


def fed(item: Item, seq: int, last_seq: int) -> FeedMessage:
    """*item* as the feed brings it."""
    return FeedMessage(seq, last_seq, NOON_MS + seq, codec.encode(item))


def logged(item: Item, seq: int) -> LogMessage:
    """*item* as the log has it."""
    return LogMessage(f"live.0.{STREAM}", seq, NOON_MS + seq, codec.encode(item), {})


def shown(number: int, seq: int, *, text: str | None = None) -> Shown:
    """Comment *number* at *seq*, as viewers get it."""
    made = show(STREAM, codec.encode(comment(number, text=text)), seq, NOON_MS + seq, Removals())
    assert made is not None
    return made
