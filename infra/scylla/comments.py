"""The CommentStore on CQL; see `infra.stores` for the contract."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from infra.scylla import places, walk
from infra.scylla.batch import Batches
from infra.scylla.database import Database, Found, Row
from infra.scylla.facts import standing
from infra.scylla.forgetting import forget
from infra.scylla.walk import COLUMNS, Wanted, stored
from infra.stores import LoggedItem, StoredItem
from schemas import codec
from schemas.items import Comment

#: The largest seq CQL has; questions name larger ones.
_MAX = 2**63 - 1
PAGE = 1000

# Its own value is its write time: of any two watermarks the higher one stands, whichever is written last.
_THROUGH = "INSERT INTO {ks}.archived (log, through) VALUES (?, ?) USING TIMESTAMP ?"
_ARCHIVED = "SELECT through FROM {ks}.archived WHERE log = ?"
_TOTAL = "SELECT sum(shown) AS shown FROM {ks}.buckets WHERE stream_id = ?"
_TAIL = "SELECT high_seq FROM {ks}.buckets WHERE stream_id = ? LIMIT 1"
_FOUND = f"SELECT seq FROM {{ks}}.lookups WHERE stream_id = ? AND part = ? AND key = ? AND seq > ? LIMIT {PAGE}"  # noqa: S608 - our own constant
_FEW = "SELECT seq FROM {ks}.lookups WHERE stream_id = ? AND part = ? AND key = ? AND seq > ? LIMIT ?"
_AT = f"SELECT {COLUMNS} FROM {{ks}}.items WHERE stream_id = ? AND bucket = ? AND seq IN ?"  # noqa: S608 - our own constant
_DECISIONS = f"""SELECT comment_id, seq, kind FROM {{ks}}.decisions
WHERE stream_id = ? AND (comment_id, seq) > (?, ?) LIMIT {PAGE}"""  # noqa: S608 - our own constant


class ScyllaComments:
    """All items of all live logs, in one keyspace."""

    def __init__(self, database: Database) -> None:
        """*database* is shared with the StreamStore and closed by whoever opened it."""
        self._database = database
        self._batches = Batches(database)

    async def write(self, items: Sequence[LoggedItem], archived_through: Mapping[str, int]) -> None:
        """Write a batch; once all of it is there, the watermarks."""
        if items:
            await self._batches.write(items)
        if archived_through:
            statement = await self._database.prepare(_THROUGH)
            marks = [Row(statement, (log,), (log, through, through)) for log, through in archived_through.items()]
            await self._database.put(marks)

    async def archived_through(self, log: str) -> int:
        """The highest seq up to which the store has everything of *log*; 0 when it has nothing."""
        rows = await self._database.read(_ARCHIVED, log)
        return int(rows[0].through) if rows else 0

    async def range(self, stream_id: str, after: int, until: int, limit: int) -> list[StoredItem]:
        """Items with `after < seq <= until`, ascending."""
        wanted = Wanted(stream_id=stream_id, after=after, before=min(until, _MAX - 1) + 1)
        return await walk.page(self._database, wanted, limit)

    async def newest(self, stream_id: str, before: int, limit: int) -> list[StoredItem]:
        """Items with `seq < before`, descending."""
        wanted = Wanted(stream_id=stream_id, after=-1, before=min(before, _MAX), descending=True)
        return await walk.page(self._database, wanted, limit)

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
            after=max(after, -1),
            before=min(before, _MAX),
            descending=descending,
            comments=True,
            from_ms=from_ms,
            to_ms=to_ms,
        )
        return await walk.page(self._database, wanted, limit, offset)

    async def replies(self, stream_id: str, parent_comment_id: str, after: int, limit: int) -> list[StoredItem]:
        """Replies to one comment with `seq > after`, ascending."""
        key = places.by_parent(parent_comment_id)
        found: list[StoredItem] = []
        while len(found) < limit:
            # A few more: what a seq held before its log lost its last second may be looked up still.
            size = min(limit - len(found) + walk.SLACK, PAGE)
            rows = await self._database.read(_FEW, stream_id, places.part_of(key), key, after, size)
            there = await self._at(stream_id, [row.seq for row in rows])
            found += [stored(stream_id, row) for row in there if row.comment_id and _parent(row.payload) == parent_comment_id]
            if len(rows) < size:
                break
            after = rows[-1].seq
        return found[:limit]

    async def comment(self, stream_id: str, comment_id: str) -> StoredItem | None:
        """One comment by id, removed or not."""
        rows = await self._found(stream_id, places.by_id(comment_id))
        return next((stored(stream_id, row) for row in rows if row.comment_id == comment_id), None)

    async def by_msg_id(self, stream_id: str, msg_id: str) -> StoredItem | None:
        """What was stored under *msg_id*; the first, should the log have taken it twice."""
        rows = await self._found(stream_id, places.by_msg_id(msg_id))
        return next((stored(stream_id, row) for row in rows if row.msg_id == msg_id), None)

    async def total(self, stream_id: str) -> int:
        """How many comments are stored and not removed."""
        rows = await self._database.read(_TOTAL, stream_id)
        return int(rows[0].shown or 0)

    async def tail(self, stream_id: str) -> int:
        """The highest stored seq of the stream; 0 when there is none."""
        rows = await self._database.read(_TAIL, stream_id)
        return int(rows[0].high_seq) if rows else 0

    async def forget(self, stream_id: str) -> None:
        """Let go of all there is of a stream."""
        await forget(self._database, stream_id)

    async def removed(self, stream_id: str) -> dict[str, str]:
        """Comment id -> reason of all that are removed now, also of those that have not arrived yet."""
        decided: dict[str, dict[int, str]] = {}
        last: tuple[str, int] = ("", -1)
        while True:
            rows = await self._database.read(_DECISIONS, stream_id, *last)
            for row in rows:
                decided.setdefault(row.comment_id, {})[row.seq] = row.kind
            if len(rows) < PAGE:
                break
            last = (rows[-1].comment_id, rows[-1].seq)
        verdicts = {comment_id: standing(kinds) for comment_id, kinds in decided.items()}
        return {comment_id: reason for comment_id, reason in verdicts.items() if reason is not None}

    async def _found(self, stream_id: str, key: str) -> list[Found]:
        rows = await self._database.read(_FOUND, stream_id, places.part_of(key), key, -1)
        return await self._at(stream_id, [row.seq for row in rows])

    async def _at(self, stream_id: str, seqs: Iterable[int]) -> list[Found]:
        """The rows at *seqs* that are there, ascending."""
        buckets: dict[int, list[int]] = {}
        for seq in seqs:
            buckets.setdefault(places.bucket_of(seq), []).append(seq)
        asked = (self._database.read(_AT, stream_id, bucket, theirs) for bucket, theirs in buckets.items())
        rows = [row for answer in await asyncio.gather(*asked) for row in answer if row.payload is not None]
        return sorted(rows, key=lambda row: row.seq)


def _parent(payload: bytes) -> str | None:
    item = codec.decode_item(payload)
    return item.parent_comment_id if isinstance(item, Comment) else None
