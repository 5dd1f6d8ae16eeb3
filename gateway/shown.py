"""One item as a viewer may see it now: the bytes that are delivered, or the placeholder in a removed comment's place."""

import msgspec
from msgspec import Struct, structs

from gateway.removals import Removals
from infra.telemetry import logs
from schemas import codec
from schemas.items import Comment

log = logs.get(__name__)


class Shown(Struct, frozen=True, kw_only=True):
    """`data` is the item's JSON exactly as delivered, `seq` and `at` included.

    `kind` is the item's type. `comment` is the comment it shows; `None` for a removed one, for other items, and in a window.
    `comment_id` and `author_id` are set for comments, removed ones too.
    """

    stream_id: str
    seq: int
    at_ms: int
    data: bytes
    kind: str
    removed: str | None = None
    comment: Comment | None = None
    comment_id: str | None = None
    author_id: str | None = None
    #: How much more than others it is to be shown where a stream is sampled; 0 is always shown.
    weight: float = 1.0

    def hidden(self, reason: str) -> "Shown":
        """The same place with the placeholder in it."""
        return Shown(
            stream_id=self.stream_id,
            seq=self.seq,
            at_ms=self.at_ms,
            data=codec.placeholder(self.comment_id or "", reason, self.seq, self.at_ms),
            kind="removed",
            removed=reason,
            comment_id=self.comment_id,
            author_id=self.author_id,
            weight=self.weight,
        )

    def kept(self, weight: float) -> "Shown":
        """What a window keeps of it for minutes: without the comment taken apart, and with its *weight*."""
        return structs.replace(self, comment=None, weight=weight)


def show(stream_id: str, payload: bytes, seq: int, at_ms: int, removals: Removals, removed: str | None = None) -> Shown | None:
    """Build what is shown of a stored item; `None` for a payload that is no item, which must not stop the others.

    *removed* is what the store knows; a decision in *removals* is newer and overrules it.
    """
    try:
        item = codec.decode_item(payload)
    except msgspec.MsgspecError as error:
        log.error("unreadable item skipped", stream_id=stream_id, seq=seq, cause=str(error))
        return None
    data = codec.splice(payload, seq, at_ms)
    if not isinstance(item, Comment):
        return Shown(stream_id=stream_id, seq=seq, at_ms=at_ms, data=data, kind=str(item.__struct_config__.tag))
    shown = Shown(
        stream_id=stream_id,
        seq=seq,
        at_ms=at_ms,
        data=data,
        kind="comment",
        comment=item,
        comment_id=item.comment_id,
        author_id=item.user.id,
    )
    reason = removals.standing(item.comment_id, item.user.id, seq, removed)
    return shown if reason is None else shown.hidden(reason)
