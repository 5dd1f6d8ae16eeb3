"""The StreamStore on CQL; see `infra.stores` for the contract.

A record's revision is its write time, so a lower one never replaces a higher one. Each status has a listing, and one is of
all; a revision enters its own and leaves the others with that same time, so an older revision that comes later enters nothing.
Listings are cut by the time in the stream's id, and never grow for ever.
"""

import asyncio
from typing import get_args

import msgspec

from infra.scylla import places
from infra.scylla.database import Database, Row
from schemas import codec
from schemas.records import Status, StreamRecord

_PUT = "INSERT INTO {ks}.streams (stream_id, revision, record) VALUES (?, ?, ?) USING TIMESTAMP ?"
_ENTER = "INSERT INTO {ks}.streams_by_status (status, month, stream_id, record) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
_LEAVE = "DELETE FROM {ks}.streams_by_status USING TIMESTAMP ? WHERE status = ? AND month = ? AND stream_id = ?"
_REMOVE = "DELETE FROM {ks}.streams USING TIMESTAMP ? WHERE stream_id = ?"
_MONTH = "INSERT INTO {ks}.stream_months (name, month) VALUES (?, ?)"
_GET = "SELECT record FROM {ks}.streams WHERE stream_id = ?"
_MONTHS = "SELECT month FROM {ks}.stream_months WHERE name = ? AND month <= ?"
_PAGE = "SELECT stream_id, record FROM {ks}.streams_by_status WHERE status = ? AND month = ? AND stream_id < ? LIMIT ?"
#: The listing of all; no status is called so.
ANY = "*"
STATUSES: tuple[str, ...] = get_args(Status)
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
        stream_id, month = record.stream_id, places.month_of(record.stream_id)
        data = codec.encode(record)
        put, enter, leave, named = await asyncio.gather(*map(self._database.prepare, (_PUT, _ENTER, _LEAVE, _MONTH)))
        rows = [Row(named, (), (ANY, month)), Row(put, (stream_id,), (stream_id, revision, data, revision))]
        for status in (ANY, *STATUSES):
            if status in (ANY, record.status):
                rows.append(Row(enter, (status, month), (status, month, stream_id, data, revision)))
            else:
                rows.append(Row(leave, (status, month), (revision, status, month, stream_id)))
        await self._database.put(rows)

    async def remove(self, stream_id: str, revision: int) -> None:
        """Let go of a record, with *revision* as the time of its end."""
        month = places.month_of(stream_id)
        gone, leave = await asyncio.gather(*map(self._database.prepare, (_REMOVE, _LEAVE)))
        rows = [Row(gone, (stream_id,), (revision, stream_id))]
        rows += [Row(leave, (status, month), (revision, status, month, stream_id)) for status in (ANY, *STATUSES)]
        await self._database.put(rows)

    async def get(self, stream_id: str) -> StreamRecord | None:
        """The newest stored revision."""
        rows = await self._database.read(_GET, stream_id)
        return _decoder.decode(rows[0].record) if rows else None

    async def page(self, *, status: str | None, before: str | None, limit: int) -> list[StreamRecord]:
        """Records of one status with `stream_id < before`, newest id first."""
        newest = 2**31 - 1 if before is None else places.month_of(before)
        months = await self._database.read(_MONTHS, ANY, newest)
        found: list[StreamRecord] = []
        for month in (row.month for row in months):
            asked = (status or ANY, month, before or _LAST, limit - len(found))
            found += [_decoder.decode(row.record) for row in await self._database.read(_PAGE, *asked)]
            if len(found) >= limit:
                break
        return found
