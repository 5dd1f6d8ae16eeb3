"""One stream's live log compared with the store, row by row: what is missing, what differs, and how."""

from collections.abc import AsyncIterator, Sequence

from msgspec import Struct

from infra import storage
from infra.clock import SystemClock
from infra.errors import Missing
from infra.jetstream.connection import Connection
from infra.jetstream.kv import Bucket
from infra.jetstream.publisher import Publisher
from infra.jetstream.reader import LogMessage, Reader
from infra.jetstream.streams import BUCKET, StreamRecords
from infra.settings import Settings
from infra.stores import CommentStore, StoredItem
from ovation.verdicts import BATCH, MOST, Verdicts
from schemas import codec, subjects
from schemas.items import Comment
from schemas.streamid import made_ms
from workers.archive.refill import logged_item

#: By how much the clock that made a stream's id may be ahead of the broker's, whose times the log has.
SKEW_MS = 60_000


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

    The stream may go on meanwhile: what differs is looked at once more, with all that was decided by then, before it is said.
    What the log has lost is no difference where the store says that it is removed (it was erased from the log), or where it
    is older than all that the log has; it is one where the log forgot it before it was archived. Nor is a difference what was
    erased from the store for good; the last line says how much that is. Items that cannot be read were dead-lettered and are
    left out.

    Raises:
        Unavailable: the broker or the store does not answer.
    """
    log, subject = subjects.live_log(shard), subjects.live(shard, stream_id)
    state = await reader.state(log)
    through = await store.archived_through(log)
    lost = await _lost(reader, store, shard, stream_id)
    verdicts = Verdicts(reader, store, shard, stream_id, state.first - 1)
    await verdicts.settle()
    comparing = _Comparing(reader, store, shard, stream_id, verdicts)
    compared = erased = 0
    after, until = state.first - 1, min(state.last, through)
    while after < until:
        messages = await reader.range(log, subject, after, until, BATCH)
        upto = messages[-1].seq if len(messages) == BATCH else until
        page = await comparing.page(messages, after, upto)
        if page.differences:
            page.differences = await comparing.again(page, after, upto)
        for line in page.differences.values():
            yield line
        compared += page.compared
        erased += page.erased
        after = upto
    if verdicts.too_many():
        yield f"verdicts are not compared: the log has more than {MOST:,} comments and people that were decided on"
    # Where the archive stands still, the log may have begun to forget what it has not archived since.
    if lost := lost or await _lost(reader, store, shard, stream_id):
        yield lost
    words = f"{compared} messages compared, {erased} erased" if erased else f"{compared} messages compared"
    yield f"{words}, seq {state.first} to {until}; archived through {through}, log ends at {state.last}"


async def _lost(reader: Reader, store: CommentStore, shard: int, stream_id: str) -> str:
    """What the log forgot and nobody had archived, if the stream may have had something there; "" when there is none."""
    log = subjects.live_log(shard)
    state = await reader.state(log)
    # Asked for after the log's first, which only grows: what is archived by then is not lost.
    through = await store.archived_through(log)
    first = max(through + 1, state.incarnation)
    if first >= state.first:
        return ""
    oldest = await reader.first_after(log, subjects.all_live(shard), state.first - 1)
    if oldest is not None and made_ms(stream_id) > oldest.at_ms + SKEW_MS:
        return ""
    rows = sum([len(page) async for page in _pages(store, stream_id, first - 1, state.first - 1)])
    return (
        f"{first} to {state.first - 1}: the log has forgotten these and the store is archived through {through} alone: "
        f"what the stream had there is lost, but for {rows} rows in the store"
    )


async def _pages(store: CommentStore, stream_id: str, after: int, upto: int) -> AsyncIterator[list[StoredItem]]:
    while page := await store.range(stream_id, after, upto, BATCH):
        yield page
        after = page[-1].seq


async def _erased(store: CommentStore, stream_id: str, after: int, upto: int) -> set[int]:
    found: set[int] = set()
    while page := await store.erased(stream_id, after, upto, BATCH):
        found.update(page)
        after = page[-1]
    return found


class _Page(Struct):
    """What was found in one part: lines by seq and what differs there, and how much was compared."""

    differences: dict[tuple[int, str], str]
    compared: int = 0
    erased: int = 0
    #: Comments whose rows show what is not the settled verdict.
    doubted: list[tuple[Comment, StoredItem]] = []
    #: Rows without a message.
    alone: list[StoredItem] = []


class _Comparing:
    """Parts of one stream's log, against the store. Keeps nothing of a part but what differs in it."""

    def __init__(self, reader: Reader, store: CommentStore, shard: int, stream_id: str, verdicts: Verdicts) -> None:
        self._reader = reader
        self._store = store
        self._log, self._subject = subjects.live_log(shard), subjects.live(shard, stream_id)
        self._stream_id = stream_id
        self._verdicts = verdicts

    async def page(self, messages: Sequence[LogMessage], after: int, upto: int) -> _Page:
        """Compare the messages with `after < seq <= upto`, which are all there are, with the rows there."""
        rows = {row.seq: row async for page in _pages(self._store, self._stream_id, after, upto) for row in page}
        gone = await _erased(self._store, self._stream_id, after, upto)
        page = _Page({}, erased=len(gone))
        for message in messages:
            if message.seq not in gone:
                page.compared += 1
                self._message(page, message, rows.pop(message.seq, None))
        for row in rows.values():
            if row.removed is None and row.seq not in gone:
                page.alone.append(row)
                page.differences[row.seq, "alone"] = f"{row.seq}: in the store and not in the log: {row.payload!r}"
        return page

    async def again(self, before: _Page, after: int, upto: int) -> dict[tuple[int, str], str]:
        """What differed *before* and still does."""
        await self._verdicts.settle()
        page = await self.page(await self._reader.range(self._log, self._subject, after, upto), after, upto)
        alone = [(item, row) for row in page.alone if (item := _comment(row)) is not None]
        under_way = await self._verdicts.under_way([*page.doubted, *alone])
        for _, row in page.doubted:
            if row.removed in under_way[row.seq]:
                del page.differences[row.seq, "verdict"]
        for comment, row in alone:
            # Erased from the log, as what is removed is, before the store has the removal.
            if {self._verdicts.on(comment, row.seq)[1], *under_way[row.seq]} != {None}:
                del page.differences[row.seq, "alone"]
        first = (await self._reader.state(self._log)).first
        return {
            key: line
            for key, line in page.differences.items()
            if key in before.differences and not (key[1] == "alone" and key[0] < first)
        }

    def _message(self, page: _Page, message: LogMessage, row: StoredItem | None) -> None:
        try:
            item = logged_item(self._log, message)
        except ValueError:
            return
        if row is None:
            page.differences[item.seq, "missing"] = f"{item.seq}: in the log and not in the store: {item.payload!r}"
            return
        for name, logged, stored in (
            ("payload", item.payload, row.payload),
            ("at", item.at_ms, row.at_ms),
            ("msg_id", item.msg_id, row.msg_id),
        ):
            if logged != stored:
                page.differences[item.seq, name] = f"{item.seq}: {name} is {logged!r} in the log, {stored!r} in the store"
        if isinstance(item.item, Comment) and not self._verdicts.too_many():
            seq, reason = self._verdicts.on(item.item, item.seq)
            if reason != row.removed:
                page.doubted.append((item.item, row))
                words = reason or "not removed", row.removed or "not removed"
                line = f"{row.seq}: {words[0]} by the log (seq {seq}), {words[1]} in the store"
                page.differences[item.seq, "verdict"] = line


def _comment(row: StoredItem) -> Comment | None:
    try:
        item = codec.decode_item(row.payload)
    except ValueError:
        return None
    return item if isinstance(item, Comment) else None
