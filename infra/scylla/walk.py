"""A stream's rows in order, across its partitions: only those that hold anything, and of these only the blocks that may.

A page of comments is asked for twice, wherever it lies: first which buckets there are and what the blocks hold in which it may
begin and end, then rows. What was counted says how many buckets and blocks a page needs, and all of them are read at once:
across the edge of a bucket, where there are few comments in each, or where a sweep left thousands of removals in a row. By
time the buckets come first and then the blocks of those that may hold it.

Rows are kept with the highest seq first, and a page that wants the lowest first costs the database nearly twice the time: it
reads a piece of its file to give the end of it. So where it is known between which seqs a page's comments are, they are
read as they are kept and turned round here.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from infra.scylla import places
from infra.scylla.counts import Counts
from infra.scylla.database import Database, Found
from infra.scylla.outlines import UNKNOWN, Outlines, Reach
from infra.scylla.tallies import Tally
from infra.scylla.wanted import COLUMNS, KNOWN_SLACK, SLACK, Span, Wanted, stored
from infra.stores import StoredItem

#: Rows of one question.
PAGE = 1000
#: Spans that are read at once.
TOGETHER = 8
#: So many are passed over row by row: to count them would take a question.
FEW = 64

_ITEMS = f"SELECT {COLUMNS} FROM {{ks}}.items WHERE stream_id = ? AND bucket = ? AND seq > ? AND seq < ?"  # noqa: S608 - our own constant
_UP = _ITEMS + " ORDER BY seq ASC LIMIT ?"
_DOWN = _ITEMS + " LIMIT ?"


class Walks:
    """Pages through one handle."""

    def __init__(self, database: Database) -> None:
        """*database*: whose rows are walked."""
        self._database = database
        self._outlines = Outlines()

    async def page(self, wanted: Wanted, limit: int, offset: int = 0) -> list[StoredItem]:
        """At most *limit* items that are *wanted*, in its order, after the first *offset* of them.

        Raises:
            Unavailable: too few nodes answer.
        """
        if limit <= 0 or wanted.before - wanted.after <= 1:
            return []
        counts, reach = Counts(self._database, wanted), Reach([], 0)
        if wanted.timed:
            await counts.more_buckets()
        else:
            if wanted.comments:
                reach = self._outlines.reach(wanted, limit, offset)
            await counts.begin(reach, begun=wanted.comments and offset > FEW and wanted.has_cursor)
        walk = _Walk(self._database, wanted, counts, limit, offset)
        await walk.through(walk.spans())
        if reach.whole and counts.listed:
            self._outlines.forget(wanted.stream_id)
        listed = [(bucket, UNKNOWN if tally.ended else tally.comments) for bucket, tally in counts.listed]
        self._outlines.learn(wanted.stream_id, listed, places.bucket_of(wanted.begins))
        return walk.found


class _Walk:
    """One page's way through a stream."""

    def __init__(self, database: Database, wanted: Wanted, counts: Counts, limit: int, offset: int) -> None:
        self.found: list[StoredItem] = []
        self._database = database
        self._wanted = wanted
        self._counts = counts
        self._limit = limit
        #: How many are still to be passed over, and whether a block was found that has more than these.
        self._offset = offset
        self._settled = offset <= FEW

    @property
    def _need(self) -> int:
        return self._limit - len(self.found) + self._offset

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
        counts, at = self._counts, 0
        while at < len(counts.buckets) or not counts.all_buckets:
            if at == len(counts.buckets):
                await counts.more_buckets()
                continue
            bucket, tally = counts.buckets[at]
            at += 1
            if not self._wanted.may_hold(tally):
                continue
            first = bucket * places.BUCKET
            last = first + places.BUCKET - 1
            after, before = max(self._wanted.after, first - 1), min(self._wanted.before, last + 1)
            if self._passes(first, last, tally):
                continue
            # Of one whose comments have begun to end its blocks say which of them have.
            if bucket in counts.blocks or self._wanted.timed or not self._settled or (tally.ended and self._wanted.comments):
                async for span in self._finer(bucket, after, before):
                    yield span
            else:
                # Of a part of it about that part.
                about = (UNKNOWN if tally.ended else tally.comments) * (before - after - 1) // places.BUCKET
                yield Span(after=after, before=before, about=about)

    async def _finer(self, bucket: int, after: int, before: int) -> AsyncIterator[Span]:
        """Where between *after* and *before*, both of one bucket, wanted rows may be: neighbouring blocks as one."""
        blocks = await self._counts.blocks_of(bucket, after, before)
        full = max((tally.comments for _, tally in blocks), default=0)
        span: Span | None = None
        for block, tally in blocks:
            if span is not None and (not self._settled or span.left or span.sure >= self._need):
                # How much is left to pass over is known once it was read; and what is enough is not made longer.
                yield span
                span = None
            here = self._span(block, tally, full, after, before)
            if span is not None and (here is None or here.left or span.apart(here, tally)):
                yield span
                span = None
            span = here if span is None or here is None else span.with_next(here)
        if span is not None:
            yield span
        if bucket in self._counts.cut:
            last = self._counts.cut.pop(bucket) * places.BLOCK
            after, before = (
                (after, min(last, before)) if self._wanted.descending else (max(after, last + places.BLOCK - 1), before)
            )
            if before - after > 1:
                async for span in self._finer(bucket, after, before):
                    yield span

    def _span(self, block: int, tally: Tally, full: int, after: int, before: int) -> Span | None:
        """What is wanted of a block; `None` for nothing. Of those around it one has *full* comments."""
        low, high = block * places.BLOCK, (block + 1) * places.BLOCK - 1
        settled = self._settled
        if high <= after or low >= before or not self._wanted.may_hold(tally) or self._passes(low, high, tally):
            return None
        whole = after < low and high < before
        # Of the block in which the offset ends so many are left; the shorter part of it is read.
        left = tally.comments - self._offset if whole and self._settled and not settled else 0
        # What comes before the time is read in vain.
        vain = self._wanted.untimely(tally)
        if tally.first_seq and tally.last_seq:
            length = tally.last_seq - tally.first_seq + 1
            low, high = max(after, tally.first_seq - 1), min(before, tally.last_seq + 1)
            if high - low <= 1:
                return None
            # Which of its comments lie in a part of it is a guess.
            about = tally.comments if high - low > length else 3 * tally.comments * (high - low - 1) // (4 * length)
            return Span(
                after=low,
                before=high,
                about=about,
                finest=True,
                slack=KNOWN_SLACK + vain,
                known=True,
                parts=((low + 1, high - 1, tally.comments * (high - low - 1) // length),),
                sure=tally.comments if whole and not vain else 0,
                left=left if left < self._offset and not self._wanted.timed else 0,
            )
        begun = low <= after or high >= before
        low, high = max(after, low - 1), min(before, high + 1)
        about = tally.comments * (high - low - 1) // (2 * places.BLOCK) if begun else tally.comments
        # One with fewer comments than others is the edge of a sweep.
        return Span(after=low, before=high, about=about, finest=True, slack=SLACK + full - tally.comments + vain)

    def _passes(self, first: int, last: int, tally: Tally) -> bool:
        """Whether all that is wanted from *first* to *last* is passed over; then it has been."""
        count = 0 if self._settled else self._counts.counted(first, last, tally)
        if not count:
            return False
        if count > self._offset:
            # Of what follows a block nothing is passed over; of a bucket its blocks say.
            self._settled = last - first < places.BLOCK
            return False
        self._offset -= count
        return True

    async def _take(self, spans: Sequence[Span]) -> None:
        reading, need = [], self._need
        for span in spans:
            reading.append(self._left(span) if span.left else self._read(span, need))
            need = max(need - (span.about if span.known else span.about // 2), 0)
        for rows, rest in await asyncio.gather(*reading):
            await self._use(rows, rest)
            if not self._need:
                return

    async def _use(self, rows: Sequence[Found], rest: Span | None) -> None:
        """Take the wanted of *rows*; where there are more in their span, and more are needed, these too: the *rest*."""
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
            if rest is None:
                return
            if self._wanted.comments and not rest.finest:
                await self.through(self._finer(places.bucket_of(rest.after + 1), rest.after, rest.before))
                return
            rows, rest = await self._read(rest, max(4 * len(rows), self._need))

    async def _left(self, span: Span) -> tuple[list[Found], Span | None]:
        """The last of a block's comments, from its end; and then all of it has been passed over that is to be."""
        if self._wanted.descending:
            top = span.top(span.left)
            rows = await self._ask(_DOWN, span.after, top, PAGE)
        else:
            rows = (await self._ask(_DOWN, span.after, span.before, span.left + span.slack))[::-1]
        there = [row for row in rows if self._wanted.takes(row)]
        if len(there) < span.left:
            # They lie otherwise than was thought.
            return await self._read(span, self._need)
        self._offset = 0
        return there[-span.left :], None

    async def _read(self, span: Span, need: int) -> tuple[list[Found], Span | None]:
        """The rows of a span that have the first *need* of its comments, and what is left of it if they may not be all."""
        size = min(span.size(need), PAGE)
        if self._wanted.descending:
            rows = await self._ask(_DOWN, span.after, span.before, size)
            return rows, self._rest(span, span.after, rows[-1].seq) if len(rows) >= size else None
        top = span.top(need) if span.parts else span.before
        if span.parts and top - span.after <= PAGE:
            rows = (await self._ask(_DOWN, span.after, top, PAGE))[::-1]
            return rows, self._rest(span, top - 1, span.before)
        rows = await self._ask(_UP, span.after, span.before, size)
        return rows, self._rest(span, rows[-1].seq, span.before) if len(rows) >= size else None

    def _rest(self, span: Span, after: int, before: int) -> Span | None:
        if before - after <= 1:
            return None
        return Span(after=after, before=before, about=span.about, finest=span.finest)

    async def _ask(self, question: str, after: int, before: int, size: int) -> list[Found]:
        bucket = places.bucket_of(after + 1)
        return await self._database.read(question, self._wanted.stream_id, bucket, after, before, size)
