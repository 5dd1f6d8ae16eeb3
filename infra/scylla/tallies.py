"""What was counted of a stream: per block of 512 seqs, and per bucket the sum of its blocks.

Counters would count a redelivery twice. So nothing is added up: after a write its blocks are counted from their rows. Every
count is written with the moment at which counting began, and the later one stands. Of two archives that write the same block
at once, the later count saw both their rows, if their clocks agree. Whoever finds that another count stands than its own,
or that a block's comments go on beyond it, counts once more, later than what stands: a clock that was ahead, and whose archive
may be gone, would hide what came after it for as long as it was ahead. The batch is acknowledged after that. Two clocks that
differ by more than two writes of one block overlap may leave a count behind still, until the block's next write.

A count ends before the first of the comments it counted, by what the database says these have left, and all else that is known
of a block after the last of its items. Where the one is gone and the other is not, comments may have ended since, and
whoever asks looks at the rows. Counts that lived as long as what was written last told of comments that no page had: of a
bucket that two weeks had filled thousands, and after a removal on the last day of a block all of it for a month.
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
from infra.scylla.lives import Life

_ROWS = """SELECT seq, at_ms, comment_id, decided, ttl(at_ms) AS left_s FROM {ks}.items
WHERE stream_id = ? AND bucket = ? AND seq >= ? AND seq < ?"""
#: Of a block in which every row is a comment; one of anything else has the id "", the least there is.
_ALL = """SELECT count(at_ms) AS comments, min(seq) AS first_seq, max(seq) AS high_seq, min(at_ms) AS low_ms,
max(at_ms) AS high_ms, min(comment_id) AS least, count(ttl(at_ms)) AS ending, min(ttl(at_ms)) AS first_left_s,
max(ttl(at_ms)) AS last_left_s FROM {ks}.items WHERE stream_id = ? AND bucket = ? AND seq >= ? AND seq < ?"""
#: Whatever was decided on a comment is listed here before it is in the comment's row, purges too.
ANY_DECISION = "SELECT seq FROM {ks}.decisions WHERE stream_id = ? LIMIT 1"
#: Two statements, since they do not end at the same time; no INSERT, whose row would be there without any of them.
_SEEN = """UPDATE {ks}.tallies USING TIMESTAMP ? AND TTL ? SET high_seq = ?, low_ms = ?, high_ms = ?
WHERE stream_id = ? AND bucket = ? AND block = ?"""
_COUNTED = """UPDATE {ks}.tallies USING TIMESTAMP ? AND TTL ? SET comments = ?, shown = ?
WHERE stream_id = ? AND bucket = ? AND block = ?"""
#: Where in a block its comments begin and end. Of several that count at once each has seen its own: the least and the highest
#: stand whatever their clocks say, since each is written at a time that is its place in the block. What is erased leaves them
#: where they are: between them a page looks at the rows.
_FIRST = "UPDATE {ks}.tallies USING TIMESTAMP ? AND TTL ? SET first_seq = ? WHERE stream_id = ? AND bucket = ? AND block = ?"
_LAST = _FIRST.replace("first_seq", "last_seq")
_BUCKET_SEEN, _BUCKET_COUNTED = (
    each.replace(".tallies ", ".buckets ").replace(" AND block = ?", "") for each in (_SEEN, _COUNTED)
)
#: A bucket has no more blocks than one page holds rows.
_BLOCKS = """SELECT block, comments, shown, high_seq, low_ms, high_ms, first_seq, last_seq, writetime(high_seq) AS counted_us,
ttl(comments) AS believed_s, ttl(high_seq) AS kept_s FROM {ks}.tallies WHERE stream_id = ? AND bucket = ?"""
_BUCKET_AT = "SELECT writetime(high_seq) AS counted_us FROM {ks}.buckets WHERE stream_id = ? AND bucket = ?"

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
    #: Whether comments may have ended since they were counted: how many there are is not known then, and told as 0.
    ended: bool = False

    @classmethod
    def of(cls, row: Found) -> Self:
        """Read a block's; of one that is being written there may be its ends alone."""
        ends = row.first_seq or 0, row.last_seq or 0
        if row.high_seq is None:
            return cls(first_seq=ends[0], last_seq=ends[1])
        ended = row.comments is None
        return cls(row.comments or 0, row.shown or 0, row.high_seq, row.low_ms, row.high_ms, *ends, ended=ended)

    @property
    def behind(self) -> bool:
        """Whether there are others than were counted, or may be. What is erased is counted among a block's items."""
        return self.ended or self.last_seq > self.high_seq

    def agrees(self, counted: "Tally") -> bool:
        """Whether what stands hides nothing that was *counted* now."""
        return self == (structs.replace(counted, comments=0, shown=0, ended=True) if self.ended else counted)

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(
            self.comments + other.comments,
            self.shown + other.shown,
            max(self.high_seq, other.high_seq),
            min(self.low_ms, other.low_ms),
            max(self.high_ms, other.high_ms),
            ended=self.ended or other.ended,
        )


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
            row = standing[_bucket_of(place)].blocks.get(place[1])
            if row is not None and not Tally.of(row).agrees(tally):
                others[place] = row.counted_us or 0
        if others:
            await self._count(others)
            standing |= await self._standing(others)
        statements = [await self._database.prepare(each) for each in (_BUCKET_SEEN, _BUCKET_COUNTED)]
        sums = sorted(standing.items())
        await self._database.put(row for place, each in sums for row in _rows(statements, place[:1], place, each.total))

    async def _count(self, after: Mapping[_Place, int]) -> dict[_Place, Tally]:
        """Count blocks, each with a time after that of a count that stands."""
        streams: dict[str, dict[int, int]] = {}
        for (stream_id, number), counted_us in sorted(after.items()):
            streams.setdefault(stream_id, {})[number] = counted_us
        statements = [await self._database.prepare(each) for each in (_SEEN, _COUNTED, _FIRST, _LAST)]
        found: dict[_Place, _Count] = {}
        for some in await asyncio.gather(*(self._blocks(stream_id, theirs) for stream_id, theirs in streams.items())):
            found |= some
        await self._database.put(row for place, each in found.items() for row in _block(statements, place, each))
        return {place: each.tally for place, each in found.items()}

    async def _blocks(self, stream_id: str, after: Mapping[int, int]) -> dict[_Place, "_Count"]:
        found: dict[_Place, _Count] = {}
        left, decided = list(after.items()), False
        while left:
            some, left = left[:AT_ONCE], left[AT_ONCE:]
            began, firsts = self._now_us(), [number * places.BLOCK for number, _ in some]
            spans = [(stream_id, places.bucket_of(first), first, first + places.BLOCK) for first in firsts]
            tallies, decided = await self._tallies(stream_id, spans, decided=decided)
            for (number, counted_us), (tally, life) in zip(some, tallies, strict=True):
                found[stream_id, number] = _Count(tally, life, max(began, counted_us + 1))
        return found

    async def _tallies(self, stream_id: str, spans: Sequence[_Span], *, decided: bool) -> tuple[list[tuple[Tally, Life]], bool]:
        """What is in the blocks of *spans*, and whether anything was *decided* in their stream: not asked where it is known."""
        whole: Sequence[Found | None] = [None] * len(spans)
        if not decided:
            found = await asyncio.gather(
                self._database.read(ANY_DECISION, stream_id), *(self._database.read(_ALL, *span) for span in spans)
            )
            decided = bool(found[0])
            whole = [None if decided or not row.least else row for (row,) in found[1:]]

        ttl_s = self._database.address.ttl_s

        async def one(span: _Span, row: Found | None) -> tuple[Tally, Life]:
            if row is None:
                rows = await self._database.read(_ROWS, *span)
                return counted(rows), Life.of_rows(rows, ttl_s)
            tally = Tally(row.comments, row.comments, row.high_seq, row.low_ms, row.high_ms, row.first_seq, row.high_seq)
            return tally, Life.of(row.comments, row.ending, row.first_left_s, row.last_left_s, ttl_s)

        return await asyncio.gather(*map(one, spans, whole)), decided

    async def _standing(self, blocks: Iterable[_Place]) -> dict[_Place, "_Standing"]:
        """What is counted of the buckets of *blocks*, as it stands."""
        wanted: dict[_Place, set[int]] = {}
        for block in blocks:
            wanted.setdefault(_bucket_of(block), set()).add(block[1])

        async def one(place: _Place) -> _Standing:
            at_us, rows = self._now_us(), await self._database.read(_BLOCKS, *place)
            if any((row.counted_us or 0) > at_us for row in rows):
                # By a clock that is ahead of ours. The bucket's time comes first: what it was counted from is seen after that.
                for row in await self._database.read(_BUCKET_AT, *place):
                    at_us = max(at_us, (row.counted_us or 0) + 1)
                rows = await self._database.read(_BLOCKS, *place)
            total = Tally()
            for row in rows:
                total = total.plus(Tally.of(row))
            summed = _Count(total, Life.of_blocks(rows, self._database.address.ttl_s, ended=total.ended), at_us)
            return _Standing(summed, {row.block: row for row in rows if row.block in wanted[place]})

        named = sorted(wanted)
        return dict(zip(named, await asyncio.gather(*map(one, named)), strict=True))

    def _now_us(self) -> int:
        # Never twice the same: at equal times CQL lets the larger value stand.
        self._last = max(self._last + 1, clock_us())
        return self._last


class _Count(NamedTuple):
    """A block or bucket as it was counted, for how long that holds, and the time (us) with which it is written."""

    tally: Tally
    life: Life
    at_us: int


class _Standing(NamedTuple):
    """A bucket as it stood: its sum, and the blocks that were asked for."""

    total: _Count
    blocks: dict[int, Found]


def _bucket_of(place: _Place) -> _Place:
    """The bucket that a block is in."""
    return place[0], places.bucket_of(place[1] * places.BLOCK)


def _block(statements: Sequence[PreparedStatement], place: _Place, count: _Count) -> Iterator[Row]:
    """What is written of a block."""
    seen, said, first, last = statements
    bucket, tally, kept_s = _bucket_of(place), count.tally, count.life.kept_s
    whole = (*bucket, place[1])
    yield from _rows((seen, said), bucket, whole, count)
    if tally.comments:
        low, high = tally.first_seq, tally.last_seq
        yield Row(first, bucket, (places.BLOCK - low % places.BLOCK, kept_s, low, *whole))
        yield Row(last, bucket, (1 + high % places.BLOCK, kept_s, high, *whole))


def _rows(
    statements: Sequence[PreparedStatement], partition: tuple[object, ...], place: tuple[object, ...], count: _Count
) -> Iterator[Row]:
    """What is written of a block or bucket: what was seen, then how many."""
    (seen, said), (tally, life, at_us) = statements, count
    yield Row(seen, partition, (at_us, life.kept_s, tally.high_seq, tally.low_ms, tally.high_ms, *place))
    # A null in the place of what stood until now.
    many = (None, None) if life.believed_s is None else (tally.comments, tally.shown)
    yield Row(said, partition, (at_us, life.believed_s or 0, *many, *place))


def counted(rows: Iterable[Found]) -> Tally:
    """What there is among a block's rows, which come with the highest first."""
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
            first, last = seq, last or seq
    return Tally(comments, shown, high_seq, low_ms, high_ms, first, last)
