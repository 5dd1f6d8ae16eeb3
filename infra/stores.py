"""The contracts of the stores. SQLite keeps them on one machine; a CQL database keeps the same ones on a cluster.

**Consistency.** A read sees every write that was acknowledged (has returned) before it began, on any handle of any process. A
write that is under way may be seen in part, item by item; an item is seen whole, with what was decided on it before.

**Idempotency.** What is written is identified by (stream, seq). The same batch, whole or in part, any number of times, in
any order and by several writers, gives the same answers. A write that raised, or whose writer died, may have been taken in
part: write the same again. At a seq that is known, another item replaces it when the log took it later (`at_ms`): a log
server that lost its last second in a power cut gives a seq again.

**Ordering.** Always by seq, never by id or time. Clocks that step back change neither order nor what is found by time.

**Paging.** By seq, exclusive at the cursor: pages neither repeat nor skip while newer items are written. Limits are positive.

**Errors.** `infra.errors.Unavailable` when the database does not answer, is locked too long, is full or refuses: try the same
again later. `StoreTooNew` when it is opened. Nothing else is expected; no method blocks the event loop.

What a cluster archived ends after OVATION_STORE_TTL_DAYS, rows, totals and removals alike.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from schemas.items import Item
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

    async def by_msg_id(self, stream_id: str, msg_id: str) -> StoredItem | None:
        """The item published with this Nats-Msg-Id, however long ago; of several the one with the lowest seq."""

    async def total(self, stream_id: str) -> int:
        """How many comments of the stream are stored and not removed.

        Exact, but for writes that are under way or have failed and were not repeated yet: any part of these may be counted.
        """

    async def tail(self, stream_id: str) -> int:
        """The highest stored seq of the stream; 0 when there is none."""

    async def forget(self, stream_id: str) -> None:
        """Let go of all there is of a stream: items, totals, removals. Idempotent. Items that are written later are taken."""

    async def removed(self, stream_id: str) -> dict[str, str]:
        """Comment id -> reason of all comments that are removed now."""


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
