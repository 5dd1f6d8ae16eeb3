"""What was counted of a stream: per block of 512 seqs, and per bucket the sum of its blocks.

Counters would count a redelivery twice. So nothing is added up: after a write its blocks are counted from their rows. Every
count is written with the moment at which counting began, and the later one stands. Of two archives that write the same block
at once, the later count saw both their rows, if their clocks agree. Whoever finds that another count stands than its own,
or that a block's comments go on beyond it, counts once more, later than what stands: a clock that was ahead, and whose archive
may be gone, would hide what came after it for as long as it was ahead. The batch is acknowledged after that. Two clocks that
differ by more than two writes of one block overlap may leave a count behind still, until the block's next write.

Where nothing was ever decided in a stream the database counts: two blocks of 512 rows a batch were a tenth of the client's
time. Whoever decides something meanwhile writes the decision first, then its comment's row, and then counts the block later
than we began: so what we may not have seen in a row is only what somebody else counts after us.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Self

from cassandra.query import PreparedStatement
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
_BLOCKS = f"""SELECT block, {_COLUMNS}, first_seq, last_seq, writetime(comments) AS counted_us FROM {{ks}}.tallies
WHERE stream_id = ? AND bucket = ?"""  # noqa: S608 - our own constant
_BUCKET_COUNTED = "SELECT writetime(comments) AS counted_us FROM {ks}.buckets WHERE stream_id = ? AND bucket = ?"
#: Of the buckets before one.
TOTAL = "SELECT sum(shown) AS shown FROM {ks}.buckets WHERE stream_id = ? AND bucket < ?"
_PART = "SELECT sum(shown) AS shown FROM {ks}.tallies WHERE stream_id = ? AND bucket = ? AND block < ?"

#: A stream, and the number of a block or bucket of it.
_Place = tuple[str, int]
#: A stream, a bucket, and the first seq of a block in it and of the next one.
_Span = tuple[str, int, int, int]

#: Blocks of a stream that are counted at once. A sweep through a long stream touches each of its two thousand blocks: a node
#: that was asked for all of them answered none in time, and the batch was never taken.
AT_ONCE = 16

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
        """Read a block's; of one that is being written there may be its ends alone."""
        if row.comments is None:
            return cls(first_seq=row.first_seq or 0, last_seq=row.last_seq or 0)
        ends = row.first_seq or 0, row.last_seq or 0
        return cls(row.comments, row.shown, row.high_seq, row.low_ms, row.high_ms, *ends)

    @property
    def behind(self) -> bool:
        """Whether there are comments, of a block, that were not counted. What is erased is counted among its items."""
        return self.last_seq > self.high_seq

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


def clock_us() -> int:
    """This machine's clock."""
    return time.time_ns() // 1000


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
        counted = await self._count(dict.fromkeys(blocks, 0))
        standing = await self._standing(counted)
        others: dict[_Place, int] = {}
        for place, tally in counted.items():
            row = standing[_bucket_of(place)].rows.get(place[1])
            if row is not None and Tally.of(row) != tally:
                others[place] = row.counted_us or 0
        if others:
            await self._count(others)
            standing |= await self._standing(others)
        await self._database.put(await asyncio.gather(*(self._bucket(*each) for each in sorted(standing.items()))))

    async def _count(self, after: Mapping[_Place, int]) -> dict[_Place, Tally]:
        """Count blocks, each with a time after that of a count that stands."""
        streams: dict[str, dict[int, int]] = {}
        for (stream_id, number), counted_us in sorted(after.items()):
            streams.setdefault(stream_id, {})[number] = counted_us
        statements = [await self._database.prepare(each) for each in (_TALLY, _FIRST, _LAST)]
        counted = await asyncio.gather(*(self._blocks(stream_id, theirs) for stream_id, theirs in streams.items()))
        await self._database.put(row for some in counted for each in some for row in self._rows(statements, each))
        return {each.place: each.tally for some in counted for each in some}

    async def _blocks(self, stream_id: str, after: Mapping[int, int]) -> list["_Count"]:
        counted: list[_Count] = []
        left, decided = list(after.items()), False
        while left:
            some, left = left[:AT_ONCE], left[AT_ONCE:]
            began, firsts = self._now_us(), [number * places.BLOCK for number, _ in some]
            spans = [(stream_id, places.bucket_of(first), first, first + places.BLOCK) for first in firsts]
            tallies, decided = await self._tallies(stream_id, spans, decided=decided)
            counted += [
                _Count((stream_id, number), tally, max(began, counted_us + 1))
                for (number, counted_us), tally in zip(some, tallies, strict=True)
            ]
        return counted

    async def _tallies(self, stream_id: str, spans: Sequence[_Span], *, decided: bool) -> tuple[list[Tally], bool]:
        """What is in the blocks of *spans*, and whether anything was *decided* in their stream: not asked where it is known."""
        whole: Sequence[Found | None] = [None] * len(spans)
        if not decided:
            found = await asyncio.gather(
                self._database.read(ANY_DECISION, stream_id), *(self._database.read(_ALL, *span) for span in spans)
            )
            decided = bool(found[0])
            whole = [None if decided or not row.least else row for (row,) in found[1:]]

        async def one(span: _Span, row: Found | None) -> Tally:
            if row is None:
                return _counted(await self._database.read(_ROWS, *span))
            counted = Tally(row.comments, row.comments, row.high_seq, row.low_ms, row.high_ms)
            return counted.within(row.first_seq, row.high_seq)

        return await asyncio.gather(*map(one, spans, whole)), decided

    def _rows(self, statements: Sequence[PreparedStatement], counted: "_Count") -> Iterator[Row]:
        (statement, first, last), ttl_s, tally = statements, self._database.address.ttl_s, counted.tally
        bucket = _bucket_of(counted.place)
        place = (*bucket, counted.place[1])
        yield Row(statement, bucket, (*place, *tally.values, counted.at_us, ttl_s))
        if tally.comments:
            low, high = tally.first_seq, tally.last_seq
            yield Row(first, bucket, (places.BLOCK - low % places.BLOCK, ttl_s, low, *place))
            yield Row(last, bucket, (1 + high % places.BLOCK, ttl_s, high, *place))

    async def _standing(self, blocks: Iterable[_Place]) -> dict[_Place, "_Standing"]:
        """What is counted of the buckets of *blocks*, as it stands."""
        wanted: dict[_Place, set[int]] = {}
        for block in blocks:
            wanted.setdefault(_bucket_of(block), set()).add(block[1])

        async def one(place: _Place) -> _Standing:
            at_us, rows = self._now_us(), await self._database.read(_BLOCKS, *place)
            if any((row.counted_us or 0) > at_us for row in rows):
                # By a clock that is ahead of ours. The bucket's time comes first: what it was counted from is seen after that.
                for row in await self._database.read(_BUCKET_COUNTED, *place):
                    at_us = max(at_us, (row.counted_us or 0) + 1)
                rows = await self._database.read(_BLOCKS, *place)
            total = Tally()
            for row in rows:
                total = total.plus(Tally.of(row))
            return _Standing(at_us, total, {row.block: row for row in rows if row.block in wanted[place]})

        named = sorted(wanted)
        return dict(zip(named, await asyncio.gather(*map(one, named)), strict=True))

    async def _bucket(self, place: _Place, standing: "_Standing") -> Row:
        values = (*place, *standing.total.values, standing.at_us, self._database.address.ttl_s)
        return Row(await self._database.prepare(_BUCKET), place[:1], values)

    def _now_us(self) -> int:
        # Never twice the same: at equal times CQL lets the larger value stand.
        self._last = max(self._last + 1, clock_us())
        return self._last


class _Count(NamedTuple):
    """A block as it was counted, and the time (us) with which that is written."""

    place: _Place
    tally: Tally
    at_us: int


class _Standing(NamedTuple):
    """A bucket as it stood: the time (us) with which its sum is written, the sum, and the blocks that were asked for."""

    at_us: int
    total: Tally
    rows: dict[int, Found]


def _bucket_of(place: _Place) -> _Place:
    """The bucket that a block is in."""
    return place[0], places.bucket_of(place[1] * places.BLOCK)


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
