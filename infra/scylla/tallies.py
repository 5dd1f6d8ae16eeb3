"""What was counted of a stream: per block of 512 seqs, and per bucket the sum of its blocks.

Counters would count a redelivery twice. So nothing is added up: after a write its blocks are counted from their rows. Every
count is written with the moment at which counting began, and the later one stands. Of two archives that write the same block
at once, the later count saw both their rows; that takes clocks that agree better than the two writes overlap,
and where they do not, the next write to the block mends it.

Where nothing was ever decided in a stream the database counts: two blocks of 512 rows a batch were a tenth of the client's
time. Whoever decides something meanwhile writes the decision first, then its comment's row, and then counts the block later
than we began: so what we may not have seen in a row is only what somebody else counts after us.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Self

from msgspec import Struct, structs

from infra.scylla import places
from infra.scylla.database import Database, Found, Row
from infra.scylla.facts import verdict

_ROWS = """SELECT seq, at_ms, comment_id, decided FROM {ks}.items
WHERE stream_id = ? AND bucket = ? AND seq >= ? AND seq < ?"""
#: Of a block in which every row is a comment; one of anything else has the id "", the least there is.
_ALL = """SELECT count(at_ms) AS comments, min(seq) AS first_seq, max(seq) AS high_seq, min(at_ms) AS low_ms,
max(at_ms) AS high_ms, min(comment_id) AS least FROM {ks}.items WHERE stream_id = ? AND bucket = ? AND seq >= ? AND seq < ?"""
#: Whatever was decided on a comment is listed here before it is in the comment's row, purges too.
ANY_DECISION = "SELECT seq FROM {ks}.decisions WHERE stream_id = ? LIMIT 1"
_COLUMNS = "comments, shown, high_seq, low_ms, high_ms"
_TALLY = f"""INSERT INTO {{ks}}.tallies (stream_id, bucket, block, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
USING TIMESTAMP ? AND TTL ?"""  # noqa: S608 - our own constant
#: Where in a block its comments begin and end. Of several that count at once each has seen its own: the least and the highest
#: stand whatever their clocks say, since each is written at a time that is its place in the block. What is erased leaves them
#: where they are: between them a page looks at the rows.
_FIRST = "UPDATE {ks}.tallies USING TIMESTAMP ? AND TTL ? SET first_seq = ? WHERE stream_id = ? AND bucket = ? AND block = ?"
_LAST = _FIRST.replace("first_seq", "last_seq")
_BUCKET = f"""INSERT INTO {{ks}}.buckets (stream_id, bucket, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
USING TIMESTAMP ? AND TTL ?"""  # noqa: S608 - our own constant
#: A bucket has no more blocks than one page holds rows.
BLOCKS = f"SELECT block, {_COLUMNS} FROM {{ks}}.tallies WHERE stream_id = ? AND bucket = ?"  # noqa: S608 - our own constant
#: Of the buckets before one.
TOTAL = "SELECT sum(shown) AS shown FROM {ks}.buckets WHERE stream_id = ? AND bucket < ?"
_PART = "SELECT sum(shown) AS shown FROM {ks}.tallies WHERE stream_id = ? AND bucket = ? AND block < ?"

#: The times of no comment at all.
NO_LOW_MS, NO_HIGH_MS = 2**62, -(2**62)


class Tally(Struct, frozen=True):
    """Comments of one block or bucket, those that are shown, its highest item, and the times of its comments."""

    comments: int = 0
    shown: int = 0
    high_seq: int = 0
    low_ms: int = NO_LOW_MS
    high_ms: int = NO_HIGH_MS
    #: Of a block, between which seqs its comments are; 0 where that is not known.
    first_seq: int = 0
    last_seq: int = 0

    @classmethod
    def of(cls, row: Found) -> Self:
        """Read one."""
        return cls(row.comments, row.shown, row.high_seq, row.low_ms, row.high_ms)

    def within(self, first_seq: int, last_seq: int) -> "Tally":
        """The same, of a block whose comments begin and end there."""
        return structs.replace(self, first_seq=first_seq, last_seq=last_seq)

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(
            self.comments + other.comments,
            self.shown + other.shown,
            max(self.high_seq, other.high_seq),
            min(self.low_ms, other.low_ms),
            max(self.high_ms, other.high_ms),
        )

    @property
    def values(self) -> tuple[int, ...]:
        """As they are written."""
        return (self.comments, self.shown, self.high_seq, self.low_ms, self.high_ms)


class Tallies:
    """Counts through one handle."""

    def __init__(self, database: Database) -> None:
        """*database*: whose items are counted."""
        self._database = database
        self._last = 0

    async def count(self, blocks: Iterable[tuple[str, int]]) -> None:
        """Count *blocks* (stream and number) anew, then the buckets they are in.

        Raises:
            Unavailable: count again.
        """
        streams: dict[str, set[int]] = {}
        for stream_id, number in blocks:
            streams.setdefault(stream_id, set()).add(number)
        counted = await asyncio.gather(*(self._blocks(stream_id, sorted(theirs)) for stream_id, theirs in streams.items()))
        await self._database.put(row for rows in counted for row in rows)
        buckets = {(stream_id, places.bucket_of(n * places.BLOCK)) for stream_id, theirs in streams.items() for n in theirs}
        await self._database.put(await asyncio.gather(*(self._bucket(*each) for each in sorted(buckets))))

    async def _blocks(self, stream_id: str, numbers: Sequence[int]) -> list[Row]:
        statement, first, last = [await self._database.prepare(each) for each in (_TALLY, _FIRST, _LAST)]
        began, ttl_s = self._now_us(), self._database.address.ttl_s
        firsts = [number * places.BLOCK for number in numbers]
        spans = [(stream_id, places.bucket_of(first), first, first + places.BLOCK) for first in firsts]
        decided, *found = await asyncio.gather(
            self._database.read(ANY_DECISION, stream_id), *(self._database.read(_ALL, *span) for span in spans)
        )
        rows = []
        for number, span, (whole,) in zip(numbers, spans, found, strict=True):
            if whole.least and not decided:
                tally = Tally(whole.comments, whole.comments, whole.high_seq, whole.low_ms, whole.high_ms)
                tally = tally.within(whole.first_seq, whole.high_seq)
            else:
                tally = _counted(await self._database.read(_ROWS, *span))
            place = (*span[:2], number)
            rows.append(Row(statement, span[:2], (*place, *tally.values, began, ttl_s)))
            if tally.comments:
                low, high = tally.first_seq, tally.last_seq
                rows.append(Row(first, span[:2], (places.BLOCK - low % places.BLOCK, ttl_s, low, *place)))
                rows.append(Row(last, span[:2], (1 + high % places.BLOCK, ttl_s, high, *place)))
        return rows

    async def _bucket(self, stream_id: str, number: int) -> Row:
        began = self._now_us()
        total = Tally()
        for row in await self._database.read(BLOCKS, stream_id, number):
            total = total.plus(Tally.of(row))
        values = (stream_id, number, *total.values, began, self._database.address.ttl_s)
        return Row(await self._database.prepare(_BUCKET), (stream_id,), values)

    def _now_us(self) -> int:
        # Never twice the same: at equal times CQL lets the larger value stand.
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return self._last


async def shown_until(database: Database, stream_id: str, seq: int) -> int:
    """The comments up to *seq* that are shown: those of whole buckets, of whole blocks, and of a block's rows.

    Raises:
        Unavailable: too few nodes answer.
    """
    bucket, block = places.bucket_of(seq), places.block_of(seq)
    buckets, blocks, rows = await asyncio.gather(
        database.read(TOTAL, stream_id, bucket),
        database.read(_PART, stream_id, bucket, block),
        database.read(_ROWS, stream_id, bucket, block * places.BLOCK, seq + 1),
    )
    return int(buckets[0].shown or 0) + int(blocks[0].shown or 0) + _counted(rows).shown


def _counted(rows: Iterable[Found]) -> Tally:
    # Plain numbers: a block is up to 512 rows, and two of them are counted with every batch.
    comments = shown = high_seq = 0
    low_ms, high_ms = NO_LOW_MS, NO_HIGH_MS
    first = last = 0
    for row in rows:
        seq, at_ms, comment_id, decided = row.seq, row.at_ms, row.comment_id, row.decided
        if at_ms is None:
            # A decision whose comment has not arrived.
            continue
        high_seq = max(high_seq, seq)
        if comment_id:
            comments += 1
            shown += not decided or verdict(comment_id, decided) is None
            low_ms, high_ms = min(low_ms, at_ms), max(high_ms, at_ms)
            # Rows come with the highest first.
            first, last = seq, last or seq
    return Tally(comments, shown, high_seq, low_ms, high_ms, first, last)
