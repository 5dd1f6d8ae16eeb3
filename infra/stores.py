"""The contracts of the stores. SQLite keeps them on one machine; a CQL database keeps the same ones on a cluster.

**Consistency.** A read sees every write that was acknowledged (has returned) before it began, on any handle of any process. A
write that is under way may be seen in part, item by item; an item is seen whole, with what was decided on it before.

**Idempotency.** What is written is identified by (stream, seq). The same batch, whole or in part, any number of times, in
any order and by several writers, gives the same answers. A write that raised, or whose writer died, may have been taken in
part: write the same again. At a seq that is known, another item replaces it when the log took it later (`at_ms`): a log
server that lost its last second in a power cut gives a seq again.

**Ordering.** Always by seq, never by id or time. Clocks that step back change neither order nor what is found by time.

**Erasure.** What is erased is gone for good: payload, key, author and every lookup. Its seq stays known (`erased`, `tail`);
no answer has the item again, whatever part of the log is written again in whatever order.

**Paging.** By seq, exclusive at the cursor: pages neither repeat nor skip while newer items are written. Limits are positive.

**Errors.** `infra.errors.Unavailable` when the database does not answer, is locked too long, is full or refuses: try the same
again later. `StoreTooNew` when it is opened. Nothing else is expected; no method blocks the event loop.

What a cluster archived ends after OVATION_STORE_TTL_DAYS, rows, totals and removals alike.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct, structs

from schemas.items import Item, Purged, Removed, Restored
from schemas.records import StreamRecord


class LoggedItem(Struct, frozen=True, kw_only=True):
    """One message of a live log: `payload` is the item's JSON as logged, `item` the same decoded, `msg_id` its Nats-Msg-Id."""

    log: str
    stream_id: str
    seq: int
    at_ms: int
    payload: bytes
    item: Item
    msg_id: str | None = None


class StoredItem(Struct, frozen=True, kw_only=True):
    """One item as it reads today.

    `removed` is the reason when the item is a comment that has been removed (and not restored) or whose author was
    purged; then `payload` still holds the full comment and must not be shown (`gateway.history` writes the placeholder).
    """

    stream_id: str
    seq: int
    at_ms: int
    payload: bytes
    removed: str | None = None
    msg_id: str | None = None


class Decision(Struct, frozen=True, kw_only=True):
    """What the item at *seq* decided: on one comment, or with `purged` on all that *user_id* said before it.

    *reason* is what the log has of who and why: `author`, `creator`, `moderator`, `automatic`; none of a restore.
    """

    stream_id: str
    seq: int
    at_ms: int
    action: Literal["removed", "restored", "purged"]
    comment_id: str | None = None
    user_id: str | None = None
    reason: str | None = None


def decision_of(item: LoggedItem) -> Decision | None:
    """What *item* decides; `None` when it decides nothing."""
    made = Decision(stream_id=item.stream_id, seq=item.seq, at_ms=item.at_ms, action="removed")
    match item.item:
        case Removed(comment_id=comment_id, reason=reason):
            return structs.replace(made, comment_id=comment_id, reason=reason)
        case Restored(comment=comment):
            return structs.replace(made, action="restored", comment_id=comment.comment_id)
        case Purged(user_id=user_id, reason=reason):
            return structs.replace(made, action="purged", user_id=user_id, reason=reason)
    return None


class CommentStore(Protocol):
    """All items of all live logs, by (stream, seq)."""

    async def write(self, items: Sequence[LoggedItem], archived_through: Mapping[str, int]) -> None:
        """Write a batch, and how far each log is then archived without a hole.

        *archived_through* maps a log to a seq such that every message of the log up to it is in the store or dead-lettered,
        once *items* are; it never moves back, and is never there before they are. When this raises, or the process dies, the
        marks are as before; SQLite has nothing of the items then, a cluster any part of them.

        A removal may arrive before its comment; a comment replayed after its removal stays removed; a purge removes the
        user's comments with a lower seq, whenever they arrive; a restore undoes removals and purges with a lower seq.
        """

    async def archived_through(self, log: str) -> int:
        """The highest seq up to which the store has everything of *log*; 0 when it has nothing."""

    async def range(self, stream_id: str, after: int, until: int, limit: int) -> list[StoredItem]:
        """Items with `after < seq <= until`, ascending, at most *limit*; fewer mean that there are no more."""

    async def newest(self, stream_id: str, before: int, limit: int) -> list[StoredItem]:
        """Items with `seq < before`, the newest *limit* of them, descending."""

    async def comments(
        self,
        stream_id: str,
        *,
        after: int,
        before: int,
        descending: bool,
        limit: int,
        offset: int = 0,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> list[StoredItem]:
        """Comments (removed ones too) with `after < seq < before` and `from_ms <= at < to_ms`, a page of at most *limit*.

        *offset* of them, counted from where the page would begin, are passed over. The cost depends on the page and, lightly,
        on the offset; not on how large the stream is or where in it the page lies.
        """

    async def replies(self, stream_id: str, parent_comment_id: str, after: int, limit: int) -> list[StoredItem]:
        """Replies to one comment with `seq > after`, ascending."""

    async def comment(self, stream_id: str, comment_id: str) -> StoredItem | None:
        """One comment by id, removed or not."""

    async def by_msg_ids(self, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], StoredItem]:
        """The items published with these Nats-Msg-Ids, each asked with its stream, however long ago.

        Those that are not there are not in what is returned; of several with the same the one with the lowest seq is.
        """

    async def total(self, stream_id: str, until: int | None = None) -> int:
        """How many comments of the stream are stored and not removed; of those with `seq <= until`, if that is given.

        Exact, but for writes that are under way or have failed and were not repeated yet: any part of these may be counted.
        Up to a seq that is archived through only decisions can be under way.
        """

    async def tail(self, stream_id: str) -> int:
        """The highest stored seq of the stream; 0 when there is none."""

    async def forget(self, stream_id: str, until_ms: int) -> None:
        """Let go of all there is of a stream: items, totals, removals. Idempotent.

        *until_ms* is not before the time at which the log took the last of it. What it takes later is stored again.
        """

    async def erase(self, stream_id: str, seqs: Collection[int], until_ms: int) -> None:
        """Erase for good what the log put at *seqs* until *until_ms*, be it stored already or not.

        What the log takes there later (a log that lost its last second gives a seq again) is another item. A comment that is
        erased takes with it the restores that carry its text, those too that come later, and should its id ever come again it
        is removed. Idempotent; when it raises, any part of it may be done: do it again.
        """

    async def erased(self, stream_id: str, after: int, until: int, limit: int) -> list[int]:
        """The erased seqs with `after < seq <= until`, ascending, at most *limit*."""


class PeopleStore(Protocol):
    """What each person has said: for moderators, for the person, and to erase it. Removed comments are in it, and say so.

    Written with the comments, by `CommentStore.write`.
    """

    async def said_in(self, stream_id: str, user_id: str, before: int, limit: int) -> list[StoredItem]:
        """Their comments in one stream with `seq < before`, newest first, at most *limit*; fewer: no more."""

    async def said(self, user_id: str, before: tuple[str, int] | None, limit: int) -> list[StoredItem]:
        """Their comments in all streams: the newest stream first, and in each the newest comment.

        *before* is the stream and seq of the last one of the page before. Streams have logs of their own, so there is no
        other order that no clock decides. For a minute after an erasure a cluster may not list the stream yet in
        which somebody, of whom everything was erased there, speaks again.
        """


class ModerationStore(Protocol):
    """What was decided in each stream, and by whom as far as the log says: ids and reasons, never text.

    Written with the items, by `CommentStore.write`. Restores that were erased are in it.
    """

    async def decisions(self, stream_id: str, before: int, limit: int) -> list[Decision]:
        """Decisions with `seq < before`, newest first, at most *limit*; fewer mean that there are no more."""


class StreamStore(Protocol):
    """Stream records, written from KV revisions; a lower revision never replaces a higher one."""

    async def put(self, record: StreamRecord, revision: int) -> None:
        """Write one revision of a record; idempotent. A reader of `page` may see it before or after a reader of `get` does."""

    async def remove(self, stream_id: str, revision: int) -> None:
        """Let go of a record, as of *revision*: a lower one that comes later does not bring it back. Idempotent."""

    async def get(self, stream_id: str) -> StreamRecord | None:
        """The newest stored revision; `None` also where it was removed."""

    async def page(self, *, status: str | None, before: str | None, limit: int) -> list[StreamRecord]:
        """Records of one status (`None`: any) with `stream_id < before`, newest id first, at most *limit*."""

    async def put_reactions(self, stream_id: str, totals: Mapping[str, int]) -> None:
        """Write a stream's reactions by type. Totals only grow: of two the greater stands, in whatever order they come."""

    async def reactions(self, stream_id: str) -> dict[str, int]:
        """The totals that were written, by type; types without any are left out."""

    async def recorded(self, *, before: str | None, limit: int) -> list[StreamRecord]:
        """Records of the streams that have a recording now, with `stream_id < before`, newest id first, at most *limit*."""

    async def by_creator(self, user_id: str, *, before: str | None, limit: int) -> list[StreamRecord]:
        """Records of the streams whose broadcaster is *user_id* with `stream_id < before`, newest id first, at most *limit*."""
