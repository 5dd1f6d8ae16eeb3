"""How many comments of a stream are shown: by its counts, and by the rows of blocks in which comments may have ended since.

There are few such blocks at a time: counts end shortly before the first of their comments, and all that is known of a block
shortly after the last. So one that was filled within an hour is counted by its rows for an hour.
"""

import asyncio

from infra.scylla import places
from infra.scylla.database import Database
from infra.scylla.tallies import AT_ONCE, counted

#: Oldest buckets that are looked at one by one at a time, where some of a stream's are not believed.
OLDEST = 64

#: *seen* is of all there are, *counted* of those whose count is believed.
_SHOWN = "SELECT sum(shown) AS shown, count(shown) AS counted, count(high_seq) AS seen FROM {ks}."
_OF_BUCKETS = _SHOWN + "buckets WHERE stream_id = ? AND bucket > ? AND bucket < ?"
_OF_BLOCKS = _SHOWN + "tallies WHERE stream_id = ? AND bucket = ? AND block < ?"
_BUCKETS = f"""SELECT bucket, shown FROM {{ks}}.buckets WHERE stream_id = ? AND bucket > ? AND bucket < ?
ORDER BY bucket ASC LIMIT {OLDEST}"""  # noqa: S608 - our own constant
#: A bucket has no more blocks than one page holds rows.
_BLOCKS = "SELECT block, shown FROM {ks}.tallies WHERE stream_id = ? AND bucket = ? AND block < ?"
_ROWS = """SELECT seq, at_ms, comment_id, decided FROM {ks}.items
WHERE stream_id = ? AND bucket = ? AND seq >= ? AND seq < ?"""


class Totals:
    """Of streams, through one handle."""

    def __init__(self, database: Database) -> None:
        """*database*: what was counted, and of what."""
        self._database = database

    async def until(self, stream_id: str, seq: int) -> int:
        """The comments up to *seq* that are shown: those of whole buckets, of whole blocks, and of a block's rows.

        Raises:
            Unavailable: too few nodes answer.
        """
        bucket, block = places.bucket_of(seq), places.block_of(seq)
        return sum(
            await asyncio.gather(
                self.of_buckets(stream_id, bucket),
                self._of_blocks(stream_id, bucket, block),
                self._of_rows(stream_id, block * places.BLOCK, seq),
            )
        )

    async def of_buckets(self, stream_id: str, before: int) -> int:
        """Those of all buckets *before* one.

        Raises:
            Unavailable: too few nodes answer.
        """
        total, after = 0, -1
        while True:
            (found,) = await self._database.read(_OF_BUCKETS, stream_id, after, before)
            rows = []
            if found.counted < found.seen:
                rows = await self._database.read(_BUCKETS, stream_id, after, before)
            if not rows:
                return total + int(found.shown or 0)
            # The oldest are those whose comments end.
            for row in rows:
                total += await self._of_blocks(stream_id, row.bucket) if row.shown is None else row.shown
            after = rows[-1].bucket

    async def _of_blocks(self, stream_id: str, bucket: int, before: int | None = None) -> int:
        """Those of a bucket's blocks, of all or those *before* one."""
        if before is None:
            before = (bucket + 1) * places.BUCKET // places.BLOCK
        (found,) = await self._database.read(_OF_BLOCKS, stream_id, bucket, before)
        if found.counted >= found.seen:
            return int(found.shown or 0)
        rows = await self._database.read(_BLOCKS, stream_id, bucket, before)
        total = int(sum(row.shown for row in rows if row.shown is not None))
        left = [row.block * places.BLOCK for row in rows if row.shown is None]
        while left:
            some, left = left[:AT_ONCE], left[AT_ONCE:]
            total += sum(await asyncio.gather(*(self._of_rows(stream_id, seq, seq + places.BLOCK - 1) for seq in some)))
        return total

    async def _of_rows(self, stream_id: str, first: int, last: int) -> int:
        """Those from *first* to *last*, both of one block."""
        rows = await self._database.read(_ROWS, stream_id, places.bucket_of(first), first, last + 1)
        return counted(rows).shown
