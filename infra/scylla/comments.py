"""The CommentStore on CQL; see `infra.stores` for the contract."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from infra.scylla import places
from infra.scylla.batch import Batches
from infra.scylla.database import Database, Row
from infra.scylla.erasure import Erasures
from infra.scylla.forgetting import forget
from infra.scylla.lookups import Lookups
from infra.scylla.totals import Totals
from infra.scylla.walk import Walks
from infra.scylla.wanted import SLACK, Wanted, stored
from infra.stores import LoggedItem, StoredItem
from schemas import codec
from schemas.items import Comment

#: The largest seq CQL has; questions name larger ones.
_MAX = 2**63 - 1
PAGE = 1000

# Its own value makes its write time: of any two watermarks the higher one stands, whichever is written last.
_THROUGH = "INSERT INTO {ks}.watermarks (log, through) VALUES (?, ?) USING TIMESTAMP ?"
_ARCHIVED = "SELECT through FROM {ks}.watermarks WHERE log = ?"

_TAIL = "SELECT high_seq FROM {ks}.buckets WHERE stream_id = ? LIMIT 1"
_FEW = "SELECT seq FROM {ks}.lookups WHERE stream_id = ? AND part = ? AND key = ? AND seq > ? LIMIT ?"


class ScyllaComments:
    """All items of all live logs, in one keyspace."""

    def __init__(self, database: Database) -> None:
        """*database* is shared with the StreamStore and closed by whoever opened it."""
        self._database = database
        self._batches = Batches(database)
        self._erasures = Erasures(database)
        self._walks = Walks(database)
        self._lookups = Lookups(database)
        self._totals = Totals(database)

    async def write(self, items: Sequence[LoggedItem], archived_through: Mapping[str, int]) -> None:
        """Write a batch; once all of it is there, the watermarks."""
        if items:
            await self._batches.write(items)
        if archived_through:
            statement = await self._database.prepare(_THROUGH)
            await self._database.put(
                Row(statement, (log,), (log, through, places.write_time(through))) for log, through in archived_through.items()
            )

    async def archived_through(self, log: str) -> int:
        """The highest seq up to which the store has everything of *log*; 0 when it has nothing."""
        rows = await self._database.read(_ARCHIVED, log)
        return int(rows[0].through) if rows else 0

    async def range(self, stream_id: str, after: int, until: int, limit: int) -> list[StoredItem]:
        """Items with `after < seq <= until`, ascending."""
        wanted = Wanted(stream_id=stream_id, after=after, before=min(until, _MAX - 1) + 1)
        return await self._walks.page(wanted, limit)

    async def newest(self, stream_id: str, before: int, limit: int) -> list[StoredItem]:
        """Items with `seq < before`, descending."""
        wanted = Wanted(stream_id=stream_id, after=-1, before=min(before, _MAX), descending=True)
        return await self._walks.page(wanted, limit)

    async def comments(
        self,
        stream_id: str,
        *,
        after: int,
        before: int,
        descending: bool,
        limit: int,
        offset: int = 0,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> list[StoredItem]:
        """Comments with `after < seq < before` and `from_ms <= at < to_ms`."""
        wanted = Wanted(
            stream_id=stream_id,
            # Logs begin at 1: what follows 0 is all of the first block.
            after=after if after > 0 else -1,
            before=min(before, _MAX),
            descending=descending,
            comments=True,
            from_ms=from_ms,
            to_ms=to_ms,
        )
        return await self._walks.page(wanted, limit, offset)

    async def replies(self, stream_id: str, parent_comment_id: str, after: int, limit: int) -> list[StoredItem]:
        """Replies to one comment with `seq > after`, ascending."""
        key = places.by_parent(parent_comment_id)
        found: list[StoredItem] = []
        while len(found) < limit:
            # A few more: what a seq held before its log lost its last second may be looked up still.
            size = min(limit - len(found) + SLACK, PAGE)
            rows = await self._database.read(_FEW, stream_id, places.part_of(key), key, after, size)
            there = await self._lookups.at(stream_id, [row.seq for row in rows])
            found += [stored(stream_id, row) for row in there if row.comment_id and _parent(row.payload) == parent_comment_id]
            if len(rows) < size:
                break
            after = rows[-1].seq
        return found[:limit]

    async def comment(self, stream_id: str, comment_id: str) -> StoredItem | None:
        """One comment by id, removed or not."""
        rows = await self._lookups.rows(stream_id, places.by_id(comment_id))
        return next((stored(stream_id, row) for row in rows if row.comment_id == comment_id), None)

    async def by_msg_ids(self, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], StoredItem]:
        """What was stored under these streams' Msg-Ids; the first, should the log have taken one twice."""
        asking = {each: self._lookups.rows(each[0], places.by_msg_id(each[1])) for each in asked}
        await asyncio.gather(*asking.values())
        found = {}
        for (stream_id, msg_id), rows in asking.items():
            row = next((row for row in rows.result() if row.msg_id == msg_id), None)
            if row is not None:
                found[stream_id, msg_id] = stored(stream_id, row)
        return found

    async def total(self, stream_id: str, until: int | None = None) -> int:
        """How many comments are stored and not removed; with *until* those up to it."""
        if until is None:
            return await self._totals.of_buckets(stream_id, _MAX)
        return await self._totals.until(stream_id, min(until, _MAX - 1))

    async def tail(self, stream_id: str) -> int:
        """The highest stored seq of the stream; 0 when there is none."""
        rows = await self._database.read(_TAIL, stream_id)
        return int(rows[0].high_seq or 0) if rows else 0

    async def forget(self, stream_id: str, until_ms: int) -> None:
        """Let go of all there is of a stream."""
        await forget(self._database, stream_id, until_ms)

    async def erase(self, stream_id: str, seqs: Collection[int], until_ms: int) -> None:
        """Erase for good what the log put at *seqs* until *until_ms*."""
        await self._batches.erase(stream_id, set(seqs), until_ms)

    async def erased(self, stream_id: str, after: int, until: int, limit: int) -> list[int]:
        """The erased seqs with `after < seq <= until`, ascending."""
        return await self._erasures.listed(stream_id, after, min(until, _MAX), limit)


def _parent(payload: bytes) -> str | None:
    item = codec.decode_item(payload)
    return item.parent_comment_id if isinstance(item, Comment) else None
