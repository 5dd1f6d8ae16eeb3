"""A stream's rows in order, across its partitions: only those that hold anything, and of these only the blocks that may.

A page of comments is asked for twice, wherever it lies: first which buckets there are and what the blocks of the first one
hold, then rows. What was counted says how many buckets and blocks a page needs, and all of them are read at once:
across the edge of a bucket, where there are few comments in each, or where a sweep left thousands of removals in a row. By
time the buckets come first and then the blocks of those that may hold it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from infra.scylla import places
from infra.scylla.database import Database, Found
from infra.scylla.tallies import Tally
from infra.scylla.wanted import COLUMNS, KNOWN_SLACK, SLACK, Span, Wanted, stored
from infra.stores import StoredItem

#: Rows of one question.
PAGE = 1000
#: Buckets of a page's first question, and of those that follow or look for a time. A page needs few; a stream that was spoken
#: in for ten hours of a log of 400 comments/s has 220.
FEW_BUCKETS = 8
BUCKETS = 250
#: Blocks of a page's first question: those of a sweep of ten thousand removals, other streams' items between them. Of a bucket
#: that the page may reach, fewer.
BLOCKS = 64
NEXT_BLOCKS = 16
#: A cursor that is so near to the next bucket (seqs) may have its page there.
NEAR = 16 * places.BLOCK
#: Spans that are read at once.
TOGETHER = 8
#: Streams of which the first and the last bucket are remembered, by each handle.
STREAMS = 1000

_COUNTS = "comments, shown, high_seq, low_ms, high_ms"
_BUCKETS_UP = f"""SELECT bucket, {_COUNTS} FROM {{ks}}.buckets
WHERE stream_id = ? AND bucket >= ? AND bucket <= ? ORDER BY bucket ASC LIMIT ?"""  # noqa: S608 - our own constant
_BUCKETS_DOWN = f"""SELECT bucket, {_COUNTS} FROM {{ks}}.buckets
WHERE stream_id = ? AND bucket >= ? AND bucket <= ? LIMIT ?"""  # noqa: S608 - our own constant
_BLOCKS = f"""SELECT block, {_COUNTS}, first_seq, last_seq FROM {{ks}}.tallies
WHERE stream_id = ? AND bucket = ? AND block >= ? AND block <= ?"""  # noqa: S608 - our own constant
_BLOCKS_UP = _BLOCKS + " LIMIT ?"
_BLOCKS_DOWN = _BLOCKS + " ORDER BY block DESC LIMIT ?"
_ITEMS = f"SELECT {COLUMNS} FROM {{ks}}.items WHERE stream_id = ? AND bucket = ? AND seq > ? AND seq < ?"  # noqa: S608 - our own constant
_UP = _ITEMS + " ORDER BY seq ASC LIMIT ?"
_DOWN = _ITEMS + " LIMIT ?"
_SEQS = "SELECT comment_id FROM {ks}.items WHERE stream_id = ? AND bucket = ? AND seq > ? AND seq < ?"


class Walks:
    """Pages through one handle."""

    def __init__(self, database: Database) -> None:
        """*database*: whose rows are walked."""
        self._database = database
        #: (stream, descending) -> the buckets in which a page without a cursor began the last time. A guess: what is read in
        #: them before the buckets are known is of use if it is right, and of none if it is not.
        self._began: dict[tuple[str, bool], list[int]] = {}

    async def page(self, wanted: Wanted, limit: int, offset: int = 0) -> list[StoredItem]:
        """At most *limit* items that are *wanted*, in its order, after the first *offset* of them.

        Raises:
            Unavailable: too few nodes answer.
        """
        if limit <= 0 or wanted.before - wanted.after <= 1:
            return []
        walk = _Walk(self._database, wanted, limit, offset)
        key = (wanted.stream_id, wanted.descending)
        await walk.begin(self._began.get(key, []))
        if walk.buckets and not (wanted.timed or wanted.has_cursor):
            self._began.pop(key, None)
            few = walk.buckets[0][1].comments < PAGE
            self._began[key] = [bucket for bucket, _ in walk.buckets[: 1 + few]]
            if len(self._began) > STREAMS:
                del self._began[next(iter(self._began))]
        await walk.through(walk.spans())
        return walk.found


class _Walk:
    """One page's way through a stream."""

    def __init__(self, database: Database, wanted: Wanted, limit: int, offset: int) -> None:
        self.found: list[StoredItem] = []
        #: Those that were asked for so far.
        self.buckets: list[tuple[int, Tally]] = []
        self._all_buckets = False
        #: Of a bucket, what of its blocks the page may need.
        self._blocks: dict[int, list[tuple[int, Tally]]] = {}
        #: And those of which there may be more.
        self._cut: set[int] = set()
        #: Of the block that the cursor is in, by its first and last seq: how many are wanted, if some are passed over.
        self._begun: dict[tuple[int, int], int] = {}
        self._database = database
        self._wanted = wanted
        self._limit = limit
        #: How many are still to be passed over, and whether a block was found that has more than these.
        self._offset = offset
        self._settled = not offset

    @property
    def _need(self) -> int:
        return self._limit - len(self.found) + self._offset

    async def begin(self, guess: Sequence[int]) -> None:
        """Ask for the first buckets, and at once for the blocks of the first of them: the cursor's, or else the *guess*."""
        wanted = self._wanted
        if not wanted.comments or wanted.timed:
            await self._more_buckets(BUCKETS if wanted.timed else FEW_BUCKETS)
            return
        # A page passes over as many blocks as it likes; without an offset it needs few.
        some = BLOCKS if not self._offset else places.BUCKET // places.BLOCK
        first, *more = self._at_cursor() if wanted.has_cursor else [*guess, None]
        asked = [] if first is None else [self._read_blocks(first, some)]
        asked += [self._read_blocks(each, some if self._offset else NEXT_BLOCKS) for each in more if each is not None]
        if self._offset and wanted.has_cursor:
            asked.append(self._count_begun())
        await asyncio.gather(self._more_buckets(FEW_BUCKETS), *asked)

    def _at_cursor(self) -> list[int]:
        """The cursor's bucket; and the next one as well, where that is near, or what is passed over may end there."""
        step, seq = (-1, self._wanted.before - 1) if self._wanted.descending else (1, self._wanted.after + 1)
        bucket = places.bucket_of(seq)
        beyond = places.bucket_of(seq + step * max(NEAR, min(2 * self._offset, places.BUCKET)))
        return [bucket] if beyond == bucket or beyond < 0 else [bucket, beyond]

    async def through(self, spans: AsyncIterator[Span]) -> None:
        """Take what is wanted of *spans*, as many at once as the page is likely to need."""
        group: list[Span] = []
        async for span in spans:
            group.append(span)
            # What is passed over depends on what was read before: then one after the other.
            if not self._settled or len(group) == TOGETHER or sum(each.about for each in group) >= self._need:
                await self._take(group)
                group = []
                if not self._need:
                    return
        await self._take(group)

    async def spans(self) -> AsyncIterator[Span]:
        """Where wanted rows may be, in order; passes over what is counted."""
        at = 0
        while at < len(self.buckets) or not self._all_buckets:
            if at == len(self.buckets):
                await self._more_buckets(BUCKETS)
                continue
            bucket, tally = self.buckets[at]
            at += 1
            if not self._wanted.may_hold(tally):
                continue
            first = bucket * places.BUCKET
            last = first + places.BUCKET - 1
            after, before = max(self._wanted.after, first - 1), min(self._wanted.before, last + 1)
            if self._passes(first, last, tally):
                continue
            if bucket in self._blocks or self._wanted.timed or not self._settled:
                async for span in self._finer(bucket, after, before):
                    yield span
            else:
                # Of a part of it about that part.
                yield Span(after, before, tally.comments * (before - after - 1) // places.BUCKET)

    async def _more_buckets(self, size: int) -> None:
        """The next *size* that there are."""
        wanted = self._wanted
        low, high = max(0, places.bucket_of(wanted.after + 1)), places.bucket_of(wanted.before - 1)
        if self.buckets and wanted.descending:
            high = self.buckets[-1][0] - 1
        elif self.buckets:
            low = self.buckets[-1][0] + 1
        question = _BUCKETS_DOWN if wanted.descending else _BUCKETS_UP
        rows = await self._database.read(question, wanted.stream_id, low, high, size) if low <= high else []
        self.buckets += [(row.bucket, Tally.of(row)) for row in rows]
        self._all_buckets = len(rows) < size

    async def _read_blocks(self, bucket: int, size: int, after: int | None = None, before: int | None = None) -> None:
        """Those of a bucket that the page may need, the next *size* of them."""
        low = max(self._wanted.after if after is None else after, bucket * places.BUCKET - 1) + 1
        high = min(self._wanted.before if before is None else before, (bucket + 1) * places.BUCKET) - 1
        question = _BLOCKS_DOWN if self._wanted.descending else _BLOCKS_UP
        ends = places.block_of(low), places.block_of(high)
        rows = await self._database.read(question, self._wanted.stream_id, bucket, *ends, size)
        self._blocks[bucket] = [
            (row.block, Tally.of(row).within(row.first_seq or 0, row.last_seq or 0)) for row in rows if row.comments is not None
        ]
        if len(rows) == size:
            self._cut.add(bucket)

    async def _finer(self, bucket: int, after: int, before: int) -> AsyncIterator[Span]:
        """Where between *after* and *before*, both of one bucket, wanted rows may be: neighbouring blocks as one."""
        if bucket not in self._blocks:
            await self._read_blocks(bucket, places.BUCKET // places.BLOCK, after, before)
        blocks = self._blocks.pop(bucket)
        full = max((tally.comments for _, tally in blocks), default=0)
        span: Span | None = None
        for block, tally in blocks:
            if span is not None and not self._settled:
                # How much is left to pass over is known once it was read.
                yield span
                span = None
            here = self._span(block, tally, full, after, before)
            if span is not None and (here is None or span.apart(here, tally)):
                yield span
                span = None
            span = here if span is None or here is None else span.with_next(here)
        if span is not None:
            yield span
        if blocks and bucket in self._cut:
            self._cut.discard(bucket)
            last = blocks[-1][0] * places.BLOCK
            after, before = (
                (after, min(last, before)) if self._wanted.descending else (max(after, last + places.BLOCK - 1), before)
            )
            if before - after > 1:
                async for span in self._finer(bucket, after, before):
                    yield span

    def _span(self, block: int, tally: Tally, full: int, after: int, before: int) -> Span | None:
        """What is wanted of a block; `None` for nothing. Of those around it one has *full* comments."""
        low, high = block * places.BLOCK, (block + 1) * places.BLOCK - 1
        if high <= after or low >= before or not self._wanted.may_hold(tally) or self._passes(low, high, tally):
            return None
        # What comes before the time is read in vain.
        vain = self._wanted.untimely(tally)
        if tally.last_seq:
            length = tally.last_seq - tally.first_seq + 1
            low, high = max(after, tally.first_seq - 1), min(before, tally.last_seq + 1)
            if high - low <= 1:
                return None
            # Which of its comments lie in a part of it is a guess.
            about = tally.comments if high - low > length else 3 * tally.comments * (high - low - 1) // (4 * length)
            return Span(low, high, about, finest=True, slack=KNOWN_SLACK + vain, known=True)
        begun = low <= after or high >= before
        low, high = max(after, low - 1), min(before, high + 1)
        about = tally.comments * (high - low - 1) // (2 * places.BLOCK) if begun else tally.comments
        # One with fewer comments than others is the edge of a sweep.
        return Span(low, high, about, finest=True, slack=SLACK + full - tally.comments + vain)

    def _passes(self, first: int, last: int, tally: Tally) -> bool:
        """Whether all that is wanted from *first* to *last* is passed over; then it has been."""
        count = tally.comments if self._wanted.holds_all(first, last, tally) else self._begun.get((first, last), 0)
        if self._settled or not count:
            return False
        if count > self._offset:
            # Of what follows a block nothing is passed over; of a bucket its blocks say.
            self._settled = last - first < places.BLOCK
            return False
        self._offset -= count
        return True

    async def _count_begun(self) -> None:
        """Count what is wanted of the block that the cursor is in: it is passed over with the others then."""
        first = (self._wanted.before - 1 if self._wanted.descending else self._wanted.after + 1) // places.BLOCK * places.BLOCK
        last = first + places.BLOCK - 1
        after, before = max(self._wanted.after, first - 1), min(self._wanted.before, last + 1)
        rows = await self._database.read(_SEQS, self._wanted.stream_id, places.bucket_of(first), after, before)
        self._begun[first, last] = sum(1 for row in rows if row.comment_id)

    async def _take(self, spans: Sequence[Span]) -> None:
        sizes, need = [], self._need
        for span in spans:
            sizes.append(min(span.size(need), PAGE))
            need = max(need - (span.about if span.known else span.about // 2), 0)
        answers = await asyncio.gather(*(self._read(span, size) for span, size in zip(spans, sizes, strict=True)))
        for span, rows, size in zip(spans, answers, sizes, strict=True):
            await self._use(span, rows, size)
            if not self._need:
                return

    async def _use(self, span: Span, rows: Sequence[Found], size: int) -> None:
        """Take the wanted of *rows*; where there are more in *span*, and more are needed, these too."""
        while True:
            for row in rows:
                if not self._wanted.takes(row):
                    continue
                if self._offset:
                    self._offset -= 1
                    continue
                self.found.append(stored(self._wanted.stream_id, row))
                if len(self.found) == self._limit:
                    return
            if len(rows) < size:
                return
            last = rows[-1].seq
            after, before = (span.after, last) if self._wanted.descending else (last, span.before)
            if before - after <= 1:
                return
            if self._wanted.comments and not span.finest:
                await self.through(self._finer(places.bucket_of(after + 1), after, before))
                return
            span, size = Span(after, before, span.about, span.finest), min(4 * size, PAGE)
            rows = await self._read(span, size)

    async def _read(self, span: Span, size: int) -> list[Found]:
        bucket = places.bucket_of(span.after + 1)
        question = _DOWN if self._wanted.descending else _UP
        return await self._database.read(question, self._wanted.stream_id, bucket, span.after, span.before, size)
