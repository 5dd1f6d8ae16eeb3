"""A stream's rows in order, across its partitions: only those that hold anything, and of these only the blocks that may."""

from collections.abc import AsyncIterator

from msgspec import Struct

from infra.scylla import places
from infra.scylla.database import Database, Found
from infra.scylla.facts import verdict
from infra.scylla.tallies import BLOCKS, Tally
from infra.stores import StoredItem

#: Rows of one question.
PAGE = 1000
#: Buckets of one question; a stream that was spoken in for ten hours of a log of 400 comments/s has as many.
BUCKETS = 250
#: On top of what is wanted: removals and other items between the comments.
SLACK = 16

_COUNTS = "comments, shown, high_seq, low_ms, high_ms"
_BUCKETS_UP = f"""SELECT bucket, {_COUNTS} FROM {{ks}}.buckets
WHERE stream_id = ? AND bucket >= ? AND bucket <= ? ORDER BY bucket ASC LIMIT {BUCKETS}"""  # noqa: S608 - our own constants
_BUCKETS_DOWN = f"""SELECT bucket, {_COUNTS} FROM {{ks}}.buckets
WHERE stream_id = ? AND bucket >= ? AND bucket <= ? LIMIT {BUCKETS}"""  # noqa: S608 - our own constants
COLUMNS = "seq, at_ms, payload, msg_id, comment_id, decided"
_ITEMS = f"SELECT {COLUMNS} FROM {{ks}}.items WHERE stream_id = ? AND bucket = ? AND seq > ? AND seq < ?"  # noqa: S608 - our own constant
_UP = _ITEMS + " ORDER BY seq ASC LIMIT ?"
_DOWN = _ITEMS + " LIMIT ?"


class Wanted(Struct, frozen=True, kw_only=True):
    """Rows with `after < seq < before` of one stream; *comments*: nothing else, and only those of these times."""

    stream_id: str
    after: int
    before: int
    descending: bool = False
    comments: bool = False
    from_ms: int | None = None
    to_ms: int | None = None

    def takes(self, row: Found) -> bool:
        """Whether a row within the range is wanted."""
        if not row.payload:
            # A decision whose comment has not arrived, or what is erased.
            return False
        return not self.comments or (bool(row.comment_id) and self._in_time(row.at_ms, row.at_ms))

    def may_hold(self, tally: Tally) -> bool:
        """Whether any of what was counted is wanted."""
        return not self.comments or (tally.comments > 0 and self._in_time(tally.low_ms, tally.high_ms))

    def holds_all(self, first: int, last: int, tally: Tally) -> bool:
        """Whether all comments that were counted from seq *first* to *last* are wanted."""
        inside = self.after < first and last < self.before
        return (
            inside
            and (self.from_ms is None or self.from_ms <= tally.low_ms)
            and (self.to_ms is None or tally.high_ms < self.to_ms)
        )

    def _in_time(self, low_ms: int, high_ms: int) -> bool:
        return (self.from_ms is None or high_ms >= self.from_ms) and (self.to_ms is None or low_ms < self.to_ms)


def stored(stream_id: str, row: Found) -> StoredItem:
    """The item in *row* as it reads today."""
    removed = verdict(row.comment_id, row.decided) if row.comment_id else None
    return StoredItem(
        stream_id=stream_id,
        seq=row.seq,
        at_ms=row.at_ms,
        payload=row.payload,
        removed=removed,
        msg_id=row.msg_id or None,
    )


async def page(database: Database, wanted: Wanted, limit: int, offset: int = 0) -> list[StoredItem]:
    """At most *limit* items that are *wanted*, in its order, after the first *offset* of them.

    Raises:
        Unavailable: too few nodes answer.
    """
    found: list[StoredItem] = []
    if limit <= 0 or wanted.before - wanted.after <= 1:
        return found
    skipped = 0
    async for after, before, count in _spans(database, wanted, by_block=offset > 0):
        if count is not None and skipped + count <= offset:
            skipped += count
            continue
        async for row in _rows(database, wanted, after, before, limit + offset - skipped - len(found)):
            if skipped < offset:
                skipped += 1
                continue
            found.append(stored(wanted.stream_id, row))
            if len(found) == limit:
                return found
    return found


async def _spans(database: Database, wanted: Wanted, *, by_block: bool) -> AsyncIterator[tuple[int, int, int | None]]:
    """Ranges of seqs, each of one bucket, that may hold what is wanted, and how many that is where it was counted."""
    by_block = by_block or wanted.from_ms is not None or wanted.to_ms is not None
    async for bucket in _buckets(database, wanted):
        first = bucket * places.BUCKET
        if not by_block:
            yield max(wanted.after, first - 1), min(wanted.before, first + places.BUCKET), None
            continue
        blocks = await database.read(BLOCKS, wanted.stream_id, bucket)
        for row in reversed(blocks) if wanted.descending else blocks:
            tally = Tally.of(row)
            low, high = row.block * places.BLOCK, (row.block + 1) * places.BLOCK - 1
            if high > wanted.after and low < wanted.before and wanted.may_hold(tally):
                count = tally.comments if wanted.holds_all(low, high, tally) else None
                yield max(wanted.after, low - 1), min(wanted.before, high + 1), count


async def _buckets(database: Database, wanted: Wanted) -> AsyncIterator[int]:
    low, high = max(0, places.bucket_of(wanted.after + 1)), places.bucket_of(wanted.before - 1)
    while low <= high:
        rows = await database.read(_BUCKETS_DOWN if wanted.descending else _BUCKETS_UP, wanted.stream_id, low, high)
        for row in rows:
            if wanted.may_hold(Tally.of(row)):
                yield row.bucket
        if len(rows) < BUCKETS:
            return
        if wanted.descending:
            high = rows[-1].bucket - 1
        else:
            low = rows[-1].bucket + 1


async def _rows(database: Database, wanted: Wanted, after: int, before: int, about: int) -> AsyncIterator[Found]:
    """The wanted rows of one bucket, *about* so many."""
    while True:
        size = min(about + SLACK, PAGE)
        rows = await database.read(
            _DOWN if wanted.descending else _UP, wanted.stream_id, places.bucket_of(after + 1), after, before, size
        )
        for row in rows:
            if wanted.takes(row):
                yield row
        if len(rows) < size:
            return
        if wanted.descending:
            before = rows[-1].seq
        else:
            after = rows[-1].seq
