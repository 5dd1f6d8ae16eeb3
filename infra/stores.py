"""The contracts of the stores. SQLite keeps them on one machine; a CQL database keeps the same ones on a cluster.

The archive worker is the only writer. Every write is idempotent by (stream, seq) and may arrive in any order and any
number of times: the rows that come out are the same. Reads see every write that was acknowledged before they began.
All methods raise `infra.errors.Unavailable` when the database does not answer, is locked too long or its disk is full;
nothing is half-written then. No method blocks the event loop.
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
        """Write a batch in one transaction, and with it how far each log is archived without a hole.

        *archived_through* maps a log to a seq such that every message of the log up to it is in the store or dead-lettered;
        it never moves back. A removal may arrive before its comment; a comment replayed after its removal stays removed;
        a purge removes the user's comments with a lower seq, whenever they arrive; a restore undoes removals with a lower seq.
        """

    async def archived_through(self, log: str) -> int:
        """The highest seq up to which the store has everything of *log*; 0 when it has nothing."""

    async def range(self, stream_id: str, after: int, until: int, limit: int) -> list[StoredItem]:
        """Items with `after < seq <= until`, ascending, at most *limit*."""

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
        """Comments (removed ones too) with `after < seq < before` and `from_ms <= at < to_ms`, a page of at most *limit*."""

    async def replies(self, stream_id: str, parent_comment_id: str, after: int, limit: int) -> list[StoredItem]:
        """Replies to one comment with `seq > after`, ascending."""

    async def comment(self, stream_id: str, comment_id: str) -> StoredItem | None:
        """One comment by id, removed or not."""

    async def by_msg_id(self, stream_id: str, msg_id: str) -> StoredItem | None:
        """The comment that was posted with an idempotency key, however long ago."""

    async def total(self, stream_id: str) -> int:
        """How many comments of the stream are stored and not removed. Exact."""

    async def tail(self, stream_id: str) -> int:
        """The highest stored seq of the stream; 0 when there is none."""

    async def removed(self, stream_id: str) -> dict[str, str]:
        """Comment id -> reason of all comments that are removed now."""


class StreamStore(Protocol):
    """Stream records, written from KV revisions; a lower revision never replaces a higher one."""

    async def put(self, record: StreamRecord, revision: int) -> None:
        """Write one revision of a record; idempotent."""

    async def get(self, stream_id: str) -> StreamRecord | None:
        """The newest stored revision."""

    async def page(self, *, status: str | None, before: str | None, limit: int) -> list[StreamRecord]:
        """Records of one status (`None`: any) with `stream_id < before`, newest id first, at most *limit*."""
