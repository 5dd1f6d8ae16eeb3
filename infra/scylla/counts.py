"""What was counted where a page may lie: which buckets hold anything, and of these the blocks that it may need.

Both are asked for at once, in one question each: the blocks of neighbouring buckets too, across whose edge a page may lie.
"""

import asyncio
from collections.abc import Sequence

from infra.scylla import places
from infra.scylla.database import Database, Found
from infra.scylla.outlines import BUCKETS, Reach
from infra.scylla.tallies import NO_HIGH_MS, NO_LOW_MS, Tally
from infra.scylla.wanted import Wanted

#: Buckets of a page's first question, and of those that follow or look for a time. A page needs few.
FEW_BUCKETS = 8

_TIMES = ", low_ms, high_ms"
_BUCKETS = """SELECT bucket, comments{} FROM {{ks}}.buckets
WHERE stream_id = ? AND bucket >= ? AND bucket <= ? ORDER BY bucket {} LIMIT ?"""
_BLOCKS = """SELECT block, comments, high_seq, first_seq, last_seq{} FROM {{ks}}.tallies
WHERE stream_id = ? AND bucket {} ? AND block >= ? AND block <= ? ORDER BY block {} LIMIT ?"""
_IDS = "SELECT comment_id FROM {ks}.items WHERE stream_id = ? AND bucket = ? AND seq > ? AND seq < ?"


class Counts:
    """Of one page."""

    def __init__(self, database: Database, wanted: Wanted) -> None:
        """Nothing is asked yet."""
        self._database = database
        self._wanted = wanted
        self._times = _TIMES if wanted.timed else ""
        self._order = "DESC" if wanted.descending else "ASC"
        #: Those that were asked for so far, in the page's order, and whether these are all.
        self.buckets: list[tuple[int, Tally]] = []
        self.all_buckets = False
        #: Those that the database listed.
        self.listed: list[tuple[int, Tally]] = []
        #: Of a bucket, those of its blocks that hold comments and that the page may need.
        self.blocks: dict[int, list[tuple[int, Tally]]] = {}
        #: Where there may be more: the last block that came.
        self.cut: dict[int, int] = {}
        #: Of the block that the cursor is in, by its first and last seq: how many are wanted, or else are not.
        self._begun: dict[tuple[int, int], tuple[int, bool]] = {}

    async def begin(self, reach: Reach, *, begun: bool) -> None:
        """Ask for the first buckets, and at once for the blocks within *reach*; *begun*: and count the block of the cursor."""
        asked = [] if reach.whole else [self.more_buckets(FEW_BUCKETS)]
        if reach.buckets:
            asked.append(self._read(reach.buckets, reach.blocks, self._wanted.after, self._wanted.before))
        if begun:
            asked.append(self._count_begun())
        await asyncio.gather(*asked)
        if reach.whole:
            self.buckets = [(bucket, self._sum(bucket)) for bucket in reach.buckets if bucket in self.blocks]

    async def more_buckets(self, size: int = BUCKETS) -> None:
        """The next *size* that there are."""
        wanted = self._wanted
        low, high = max(0, places.bucket_of(wanted.after + 1)), places.bucket_of(wanted.before - 1)
        if self.buckets and wanted.descending:
            high = self.buckets[-1][0] - 1
        elif self.buckets:
            low = self.buckets[-1][0] + 1
        question = _BUCKETS.format(self._times, self._order)
        rows = await self._database.read(question, wanted.stream_id, low, high, size) if low <= high else []
        found = [(row.bucket, self._tally(row)) for row in rows]
        self.buckets += found
        self.listed += found
        self.all_buckets = len(rows) < size

    async def blocks_of(self, bucket: int, after: int, before: int) -> list[tuple[int, Tally]]:
        """Those of a bucket between two seqs of it, asked for unless they were; each is given once."""
        if bucket not in self.blocks:
            await self._read([bucket], places.BUCKET // places.BLOCK, after, before)
        return self.blocks.pop(bucket)

    def counted(self, first: int, last: int, tally: Tally) -> int:
        """How many are wanted of what *tally* counted from *first* to *last*; 0 where that is not known."""
        if self._wanted.holds_all(first, last, tally):
            return tally.comments
        count, inside = self._begun.get((first, last), (0, True))
        if tally.behind and not inside:
            return 0
        return count if inside else max(tally.comments - count, 0)

    async def _read(self, buckets: Sequence[int], size: int, after: int, before: int) -> None:
        """Those of *buckets*, which are in the page's order, between two seqs: the first *size* of them."""
        low = max(after + 1, min(buckets) * places.BUCKET)
        high = min(before, (max(buckets) + 1) * places.BUCKET) - 1
        ends = places.block_of(low), places.block_of(high)
        stream_id = self._wanted.stream_id
        if len(buckets) == 1:
            question = _BLOCKS.format(self._times, "=", self._order)
            rows = await self._database.read(question, stream_id, buckets[0], *ends, size)
        else:
            question = _BLOCKS.format(self._times, "IN", self._order)
            rows = await self._database.read(question, stream_id, list(buckets), *ends, size, paged=False)
        theirs: dict[int, list[tuple[int, Tally]]] = {bucket: [] for bucket in buckets}
        for row in rows:
            tally = self._tally(row, row.high_seq or 0, row.first_seq or 0, row.last_seq or 0)
            # Of a sweep nothing is left to say; of what may have ended since its rows say what there is.
            if tally.comments or tally.behind:
                theirs[places.bucket_of(row.block * places.BLOCK)].append((row.block, tally))
        if len(rows) == size:
            # Of those after the last that came nothing is known.
            last = places.bucket_of(rows[-1].block * places.BLOCK)
            self.cut[last] = rows[-1].block
            for bucket in buckets[buckets.index(last) + 1 :]:
                del theirs[bucket]
        self.blocks.update(theirs)

    def _sum(self, bucket: int) -> Tally:
        """A bucket's, of whose blocks all are known; else it has more than is passed over."""
        blocks = [tally for _, tally in self.blocks[bucket]]
        unknown = bucket in self.cut or any(tally.behind for tally in blocks)
        return Tally(2**31 if unknown else sum(tally.comments for tally in blocks))

    def _tally(self, row: Found, high_seq: int = 0, first_seq: int = 0, last_seq: int = 0) -> Tally:
        # Of a block that is being written there may be its ends alone.
        timed = self._times and row.low_ms is not None
        low_ms, high_ms = (row.low_ms, row.high_ms) if timed else (NO_LOW_MS, NO_HIGH_MS)
        ended = row.comments is None
        return Tally(row.comments or 0, 0, high_seq, low_ms, high_ms, first_seq, last_seq, ended=ended)

    async def _count_begun(self) -> None:
        """Count what is wanted of the block that the cursor is in, or else what is not: whichever is less of it."""
        wanted = self._wanted
        first = wanted.begins // places.BLOCK * places.BLOCK
        last = first + places.BLOCK - 1
        after, before, inside = max(wanted.after, first - 1), min(wanted.before, last + 1), True
        # Never what is above it: of a block that is being written there may be rows that are not in its count yet.
        if before - after - 1 > places.BLOCK // 2 and before == last + 1:
            after, before, inside = first - 1, after + 1, False
        rows = await self._database.read(_IDS, wanted.stream_id, places.bucket_of(first), after, before)
        self._begun[first, last] = sum(1 for row in rows if row.comment_id), inside
