"""The StreamStore on CQL; see `infra.stores` for the contract.

A record's revision makes its write time, so a lower one never replaces a higher one. Each status has a listing, one is of all,
and one of those that have a recording; a revision enters its own and leaves the others with that same time, so an older
revision that comes later enters nothing. Listings are cut by the time in the stream's id, and never grow for ever.
"""

import asyncio
from collections.abc import Mapping
from typing import get_args

import msgspec

from infra.scylla import places
from infra.scylla.database import Database, Row
from schemas import codec
from schemas.records import Status, StreamRecord

_PUT = "INSERT INTO {ks}.records (stream_id, revision, record) VALUES (?, ?, ?) USING TIMESTAMP ?"
_ENTER = "INSERT INTO {ks}.listings (status, month, stream_id, record) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
_LEAVE = "DELETE FROM {ks}.listings USING TIMESTAMP ? WHERE status = ? AND month = ? AND stream_id = ?"
_REMOVE = "DELETE FROM {ks}.records USING TIMESTAMP ? WHERE stream_id = ?"
_CREATE = "INSERT INTO {ks}.streams_by_creator (creator, stream_id) VALUES (?, ?)"
_CREATED = "SELECT stream_id FROM {ks}.streams_by_creator WHERE creator = ? AND stream_id < ? LIMIT ?"
# Its own value is its write time: of two totals the greater stands.
_TOTAL = "INSERT INTO {ks}.reactions (stream_id, name, total) VALUES (?, ?, ?) USING TIMESTAMP ?"
_NO_TOTALS = "DELETE FROM {ks}.reactions WHERE stream_id = ?"
_UNCREATE = "DELETE FROM {ks}.streams_by_creator WHERE creator = ? AND stream_id = ?"
_TOTALS = "SELECT name, total FROM {ks}.reactions WHERE stream_id = ?"
_MONTH = "INSERT INTO {ks}.stream_months (name, month) VALUES (?, ?)"
_GET = "SELECT record FROM {ks}.records WHERE stream_id = ?"
_MONTHS = "SELECT month FROM {ks}.stream_months WHERE name = ? AND month <= ?"
_PAGE = "SELECT stream_id, record FROM {ks}.listings WHERE status = ? AND month = ? AND stream_id < ? LIMIT ?"
#: The listing of all; no status is called so.
ANY = "*"
STATUSES: tuple[str, ...] = get_args(Status)
#: The listing of those that have a recording.
RECORDED = "recorded"
LISTINGS = (ANY, *STATUSES, RECORDED)
#: Sorts after every id.
_LAST = "g"
_decoder = msgspec.json.Decoder(StreamRecord)


class ScyllaStreams:
    """Stream records, in the keyspace of the comments."""

    def __init__(self, database: Database) -> None:
        """*database* is shared with the CommentStore and closed by whoever opened it."""
        self._database = database

    async def put(self, record: StreamRecord, revision: int) -> None:
        """Write one revision; an older one than is stored changes nothing."""
        stream_id, month, at = record.stream_id, places.month_of(record.stream_id), places.write_time(revision)
        data = codec.encode(record)
        statements = (_PUT, _ENTER, _LEAVE, _MONTH, _CREATE)
        put, enter, leave, named, create = await asyncio.gather(*map(self._database.prepare, statements))
        creator = record.broadcaster.id
        rows = [Row(named, (), (ANY, month)), Row(put, (stream_id,), (stream_id, revision, data, at))]
        rows.append(Row(create, (creator,), (creator, stream_id)))
        entered = {ANY, record.status, RECORDED if record.recording is not None else ANY}
        for status in LISTINGS:
            if status in entered:
                rows.append(Row(enter, (status, month), (status, month, stream_id, data, at)))
            else:
                rows.append(Row(leave, (status, month), (at, status, month, stream_id)))
        await self._database.put(rows)

    async def remove(self, stream_id: str, revision: int) -> None:
        """Let go of a record, with *revision* as the time of its end."""
        month, at = places.month_of(stream_id), places.write_time(revision)
        record = await self.get(stream_id)
        statements = (_REMOVE, _LEAVE, _NO_TOTALS, _UNCREATE)
        gone, leave, untold, uncreate = await asyncio.gather(*map(self._database.prepare, statements))
        rows = [Row(untold, (stream_id,), (stream_id,))]
        rows += [Row(leave, (status, month), (at, status, month, stream_id)) for status in LISTINGS]
        if record is not None:
            creator = record.broadcaster.id
            rows.append(Row(uncreate, (creator,), (creator, stream_id)))
        # First what is found by the record, so that whoever begins anew finds it.
        await self._database.put(rows)
        rows = [Row(gone, (stream_id,), (at, stream_id))]
        await self._database.put(rows)

    async def get(self, stream_id: str) -> StreamRecord | None:
        """The newest stored revision."""
        rows = await self._database.read(_GET, stream_id)
        return _decoder.decode(rows[0].record) if rows else None

    async def page(self, *, status: str | None, before: str | None, limit: int) -> list[StreamRecord]:
        """Records of one status with `stream_id < before`, newest id first."""
        return await self._listed(status or ANY, before, limit)

    async def put_reactions(self, stream_id: str, totals: Mapping[str, int]) -> None:
        """Write a stream's reactions by type; of two totals the greater stands."""
        statement = await self._database.prepare(_TOTAL)
        named = ((stream_id, name, total, total) for name, total in totals.items() if total)
        await self._database.put([Row(statement, (stream_id,), values) for values in named])

    async def reactions(self, stream_id: str) -> dict[str, int]:
        """The totals that were written, by type."""
        return {row.name: row.total for row in await self._database.read(_TOTALS, stream_id)}

    async def recorded(self, *, before: str | None, limit: int) -> list[StreamRecord]:
        """Records of the streams that have a recording now, newest id first."""
        return await self._listed(RECORDED, before, limit)

    async def _listed(self, listing: str, before: str | None, limit: int) -> list[StreamRecord]:
        newest = 2**31 - 1 if before is None else places.month_of(before)
        months = await self._database.read(_MONTHS, ANY, newest)
        found: list[StreamRecord] = []
        for month in (row.month for row in months):
            asked = (listing, month, before or _LAST, limit - len(found))
            found += [_decoder.decode(row.record) for row in await self._database.read(_PAGE, *asked)]
            if len(found) >= limit:
                break
        return found

    async def by_creator(self, user_id: str, *, before: str | None, limit: int) -> list[StreamRecord]:
        """Records of one broadcaster's streams with `stream_id < before`, newest id first."""
        found: list[StreamRecord] = []
        last = before or _LAST
        while len(found) < limit:
            # The list has ids alone: the records change, and one that is gone is nobody's.
            size = limit - len(found)
            rows = await self._database.read(_CREATED, user_id, last, size)
            records = await asyncio.gather(*(self.get(row.stream_id) for row in rows))
            found += [record for record in records if record is not None]
            if len(rows) < size:
                break
            last = rows[-1].stream_id
        return found
