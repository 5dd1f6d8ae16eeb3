"""One stream's live log compared with the store, row by row: what is missing, what differs, and how."""

from collections.abc import AsyncIterator, Iterator

from infra import storage
from infra.clock import SystemClock
from infra.errors import Missing
from infra.jetstream.connection import Connection
from infra.jetstream.kv import Bucket
from infra.jetstream.publisher import Publisher
from infra.jetstream.reader import LogMessage, Reader
from infra.jetstream.streams import BUCKET, StreamRecords
from infra.settings import Settings
from infra.stores import CommentStore, LoggedItem, StoredItem
from schemas import subjects
from schemas.items import Comment, Purged, Removed, Restored
from workers.archive.refill import logged_item

#: Messages and rows compared at once.
BATCH = 1000


async def run(settings: Settings, stream_id: str) -> AsyncIterator[str]:
    """Each difference as one line, then one that says what was compared.

    Raises:
        Missing: no such stream, neither here nor in the store.
        Unavailable: the broker or the store does not answer.
    """
    opened = await storage.open_storage(settings)
    connection = await Connection(settings.nats_url, "verify", SystemClock()).open(wait_s=10.0)
    try:
        reader = Reader(connection)
        publisher = Publisher(connection, settings.publish_wait_s)
        found = await StreamRecords(Bucket(BUCKET, connection, publisher, reader), publisher).get(stream_id)
        record = found[0] if found else await opened.streams.get(stream_id)
        if record is None:
            msg = f"there is no stream {stream_id}"
            raise Missing(msg)
        async for line in differences(reader, opened.comments, record.shard, stream_id):
            yield line
    finally:
        await connection.close()
        await opened.close()


async def differences(reader: Reader, store: CommentStore, shard: int, stream_id: str) -> AsyncIterator[str]:
    """What the log has of the stream up to where it is archived, against the rows there; the last line says how much that was.

    What the log has lost is no difference where the store says that it is removed: it was erased from the log. Nor is what
    was erased from the store for good; the last line says how much that is. Items that cannot be read were dead-lettered and
    are left out.

    Raises:
        Unavailable: the broker or the store does not answer.
    """
    log, subject = subjects.live_log(shard), subjects.live(shard, stream_id)
    state = await reader.state(log)
    through = await store.archived_through(log)
    decided = _Decided()
    compared = erased = 0
    after, until = state.first - 1, min(state.last, through)
    while after < until:
        messages = await reader.range(log, subject, after, until, BATCH)
        upto = messages[-1].seq if len(messages) == BATCH else until
        rows = await _rows(store, stream_id, after, upto)
        gone = await _erased(store, stream_id, after, upto)
        for message in messages:
            if message.seq in gone:
                continue
            for line in _of_message(log, message, rows.pop(message.seq, None), decided):
                yield line
        for row in rows.values():
            if row.removed is None:
                yield f"{row.seq}: in the store and not in the log: {row.payload!r}"
        compared += sum(message.seq not in gone for message in messages)
        erased += len(gone)
        after = upto
    for line in decided.differences():
        yield line
    words = f"{compared} messages compared, {erased} erased" if erased else f"{compared} messages compared"
    yield f"{words}, seq {state.first} to {until}; archived through {through}, log ends at {state.last}"


async def _rows(store: CommentStore, stream_id: str, after: int, upto: int) -> dict[int, StoredItem]:
    rows: dict[int, StoredItem] = {}
    while page := await store.range(stream_id, after, upto, BATCH):
        rows |= {row.seq: row for row in page}
        after = page[-1].seq
    return rows


async def _erased(store: CommentStore, stream_id: str, after: int, upto: int) -> set[int]:
    found: set[int] = set()
    while page := await store.erased(stream_id, after, upto, BATCH):
        found.update(page)
        after = page[-1]
    return found


def _of_message(log: str, message: LogMessage, row: StoredItem | None, decided: "_Decided") -> Iterator[str]:
    try:
        item = logged_item(log, message)
    except ValueError:
        return
    decided.learn(item, row)
    yield from _of_row(item, row)


def _of_row(item: LoggedItem, row: StoredItem | None) -> Iterator[str]:
    if row is None:
        yield f"{item.seq}: in the log and not in the store: {item.payload!r}"
        return
    for name, logged, stored in (
        ("payload", item.payload, row.payload),
        ("at", item.at_ms, row.at_ms),
        ("msg_id", item.msg_id, row.msg_id),
    ):
        if logged != stored:
            yield f"{item.seq}: {name} is {logged!r} in the log, {stored!r} in the store"


class _Decided:
    """What the log's own decisions amount to; older ones, which it has forgotten, concern comments that it has forgotten."""

    def __init__(self) -> None:
        self._on_comments: dict[str, tuple[int, str | None]] = {}
        self._on_users: dict[str, int] = {}
        self._said: list[tuple[Comment, StoredItem]] = []

    def learn(self, item: LoggedItem, row: StoredItem | None) -> None:
        """Take one item, in the log's order, with its row."""
        match item.item:
            case Comment():
                if row is not None:
                    self._said.append((item.item, row))
            case Removed(comment_id=comment_id, reason=reason):
                self._on_comments[comment_id] = (item.seq, reason)
            case Restored(comment=comment):
                self._on_comments[comment.comment_id] = (item.seq, None)
            case Purged(user_id=user_id):
                self._on_users[user_id] = item.seq

    def differences(self) -> Iterator[str]:
        """How comments' rows differ from what was decided on them."""
        for comment, row in self._said:
            seq, reason = self._on_comments.get(comment.comment_id, (0, None))
            if (purged := self._on_users.get(comment.user.id, 0)) > max(seq, row.seq):
                seq, reason = purged, "purged"
            if reason != row.removed:
                words = reason or "not removed", row.removed or "not removed"
                yield f"{row.seq}: {words[0]} by the log (seq {seq}), {words[1]} in the store"
