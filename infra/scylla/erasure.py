"""What is erased for good, on CQL.

A row is emptied by writing empty values over it, with a time just after that until which it is erased: whatever part of the log
is written again is older, whenever it comes, and loses. They are values and no deletions, which would be
forgotten after the tables' grace; and they do not end with OVATION_STORE_TTL_DAYS.

Lookups are deleted; who writes one again finds the seq in `erased` and deletes it again. Eraser and archive both write before
they look, so of the two one sees the other. A comment that is erased has a decision on it at the seq `NEVER`, above every
restore: a restore carries the whole comment, so it is erased as well, be it there already or still to come.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence

from infra.scylla import places
from infra.scylla.database import Database, Found, Row
from infra.scylla.facts import PURGED, REMOVED, RESTORED, keys_of, standing
from infra.scylla.people import Spoken
from infra.scylla.seqs import rows_at
from infra.stores import LoggedItem
from schemas import codec
from schemas.items import Comment, Restored

#: Above every seq there is: nothing that is decided later undoes it.
NEVER = 2**62
PAGE = 1000

_MARK = "INSERT INTO {ks}.erased (stream_id, seq, until_us) VALUES (?, ?, ?) USING TIMESTAMP ?"
_EMPTY = """INSERT INTO {ks}.items (stream_id, bucket, seq, at_ms, payload, msg_id, comment_id) VALUES (?, ?, ?, ?, ?, ?, ?)
USING TIMESTAMP ?"""
_NO_LOOKUP = "DELETE FROM {ks}.lookups USING TIMESTAMP ? WHERE stream_id = ? AND part = ? AND key = ? AND seq = ?"
_FOR_EVER = "INSERT INTO {ks}.decisions (stream_id, comment_id, seq, kind, at_us) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
_ROWS = "SELECT seq, at_ms, payload, msg_id, comment_id FROM {ks}.items WHERE stream_id = ? AND bucket = ? AND seq IN ?"
_DECIDED = "SELECT seq, kind, at_us FROM {ks}.decisions WHERE stream_id = ? AND comment_id = ?"
_IS_ERASED = "SELECT seq FROM {ks}.decisions WHERE stream_id = ? AND comment_id = ? AND seq = ?"
_AMONG = f"SELECT seq, until_us FROM {{ks}}.erased WHERE stream_id = ? AND seq >= ? AND seq <= ? LIMIT {PAGE}"  # noqa: S608 - our own constant
_LIST = "SELECT seq FROM {ks}.erased WHERE stream_id = ? AND seq > ? AND seq <= ? LIMIT ?"


class Erasures:
    """Erases through one handle. What was counted is left to the caller."""

    def __init__(self, database: Database) -> None:
        """*database*: where it is erased."""
        self._database = database
        self._spoken = Spoken(database)

    async def erase(self, stream_id: str, seqs: Collection[int], until_ms: int) -> None:
        """Erase what the log put at *seqs* until *until_ms*.

        Raises:
            Unavailable: any part of it is done; do it again.
        """
        # Above the time of every item of that millisecond (`facts.event_us`).
        until_us = (until_ms + 1) * 1000
        await self._mark(stream_id, seqs, until_us)
        rows = await self._rows(stream_id, seqs, until_ms)
        items = [(row, codec.decode_item(row.payload)) for row in rows]
        said = [item for _, item in items if isinstance(item, Comment)]
        await asyncio.gather(*(self._for_ever(stream_id, each.comment_id, until_us) for each in said))
        keys = [(row.seq, key) for row, item in items for key in keys_of(item, row.msg_id or None)]
        await self._no_lookups(stream_id, keys, until_us)
        for user_id in sorted({each.user.id for each in said}):
            await self._spoken.forget(stream_id, user_id, until_us)
        # The rows last: by them all else is found again, should this break off.
        await self._empty(stream_id, seqs, until_ms, until_us)

    async def listed(self, stream_id: str, after: int, until: int, limit: int) -> list[int]:
        """The erased seqs with `after < seq <= until`, ascending."""
        found: list[int] = []
        while len(found) < limit:
            marks = [row.seq for row in await self._database.read(_LIST, stream_id, after, until, min(limit, PAGE))]
            # What the log has put there since is no longer erased.
            held = {row.seq for row in await self._rows(stream_id, marks, 2**62)}
            found += [seq for seq in marks if seq not in held]
            if len(marks) < min(limit, PAGE):
                break
            after = marks[-1]
        return found[:limit]

    async def among(self, items: Sequence[LoggedItem]) -> set[tuple[str, int]]:
        """Those of *items*, whose lookups have just been written, that are erased; nothing of them is there any more."""
        of_streams: dict[str, list[LoggedItem]] = {}
        for item in items:
            of_streams.setdefault(item.stream_id, []).append(item)
        erased = [each for some in await asyncio.gather(*(self._among(*s) for s in of_streams.items())) for each in some]
        for item, until_us in erased:
            await self._no_lookups(item.stream_id, [(item.seq, key) for key in keys_of(item.item, item.msg_id)], until_us)
        return {(item.stream_id, item.seq) for item, _ in erased}

    async def _among(self, stream_id: str, items: Sequence[LoggedItem]) -> list[tuple[LoggedItem, int]]:
        marks = await self._marks(stream_id, min(item.seq for item in items), max(item.seq for item in items))
        for item in items:
            if isinstance(item.item, Comment) and item.at_ms * 1000 < marks.get(item.seq, 0):
                # It may have been erased by its seq alone: from now on it is known by its id, also to the restores below.
                await self._for_ever(stream_id, item.item.comment_id, marks[item.seq])
        for item in items:
            if isinstance(item.item, Restored) and item.seq not in marks:
                comment_id = item.item.comment.comment_id
                if await self._database.read(_IS_ERASED, stream_id, comment_id, NEVER):
                    await self.erase(stream_id, [item.seq], item.at_ms)
                    marks[item.seq] = (item.at_ms + 1) * 1000
        return [(item, marks[item.seq]) for item in items if item.seq in marks and item.at_ms * 1000 < marks[item.seq]]

    async def _marks(self, stream_id: str, first: int, last: int) -> dict[int, int]:
        marks: dict[int, int] = {}
        while True:
            rows = await self._database.read(_AMONG, stream_id, first, last)
            marks |= {row.seq: row.until_us for row in rows}
            if len(rows) < PAGE:
                return marks
            first = rows[-1].seq + 1

    async def _mark(self, stream_id: str, seqs: Iterable[int], until_us: int) -> None:
        statement = await self._database.prepare(_MARK)
        await self._database.put(Row(statement, (stream_id,), (stream_id, seq, until_us, until_us)) for seq in sorted(seqs))

    async def _rows(self, stream_id: str, seqs: Iterable[int], until_ms: int) -> list[Found]:
        rows = await rows_at(self._database, _ROWS, stream_id, sorted(seqs))
        return [row for row in rows if row.payload and row.at_ms <= until_ms]

    async def _for_ever(self, stream_id: str, comment_id: str, until_us: int) -> None:
        """Decide for ever on one comment, and erase the restores that carry it."""
        decided = {row.seq: row.kind for row in await self._database.read(_DECIDED, stream_id, comment_id)}
        reason = standing(decided)
        kind = PURGED if reason in (None, PURGED) else REMOVED + str(reason)
        statement = await self._database.prepare(_FOR_EVER)
        await self._database.put([Row(statement, (stream_id,), (stream_id, comment_id, NEVER, kind, until_us, until_us))])
        again = await self._database.read(_DECIDED, stream_id, comment_id)
        for row in again:
            if row.kind == RESTORED:
                await self.erase(stream_id, [row.seq], row.at_us // 1000)

    async def _no_lookups(self, stream_id: str, keys: Iterable[tuple[int, str]], until_us: int) -> None:
        statement = await self._database.prepare(_NO_LOOKUP)
        named = ((stream_id, places.part_of(key), key, seq) for seq, key in keys)
        await self._database.put([Row(statement, place[:2], (until_us, *place)) for place in named])

    async def _empty(self, stream_id: str, seqs: Iterable[int], until_ms: int, until_us: int) -> None:
        statement = await self._database.prepare(_EMPTY)
        rows = []
        for seq in sorted(seqs):
            place = (stream_id, places.bucket_of(seq))
            rows.append(Row(statement, place, (*place, seq, until_ms, b"", "", "", until_us)))
        await self._database.put(rows)
