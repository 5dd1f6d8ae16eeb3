"""The StreamStore on SQLite; see `infra.stores` for the contract."""

import sqlite3

import msgspec

from infra.sqlite.database import Database
from schemas import codec
from schemas.records import StreamRecord

_PUT = """
INSERT INTO streams (stream_id, revision, status, record) VALUES (?, ?, ?, ?)
ON CONFLICT (stream_id) DO UPDATE SET revision = excluded.revision, status = excluded.status, record = excluded.record
WHERE excluded.revision > revision
"""
#: In the place of a status: nothing is left of the record.
_REMOVED = "removed"
_decoder = msgspec.json.Decoder(StreamRecord)


class SqliteStreams:
    """Stream records, in the file of the comments."""

    def __init__(self, database: Database) -> None:
        """*database* is shared with the CommentStore and closed by whoever opened it."""
        self._database = database

    async def put(self, record: StreamRecord, revision: int) -> None:
        """Write one revision; an older one than is stored changes nothing."""
        row = (record.stream_id, revision, record.status, codec.encode(record))
        await self._database.write(lambda db: db.execute(_PUT, row))

    async def remove(self, stream_id: str, revision: int) -> None:
        """Let go of a record; its revision stays, so that a lower one does not bring it back."""
        await self._database.write(lambda db: db.execute(_PUT, (stream_id, revision, _REMOVED, b"")))

    async def get(self, stream_id: str) -> StreamRecord | None:
        """The newest stored revision."""

        def work(db: sqlite3.Connection) -> bytes | None:
            row = db.execute("SELECT record FROM streams WHERE stream_id = ?", (stream_id,)).fetchone()
            return row[0] if row else None

        found = await self._database.read(work)
        return _decoder.decode(found) if found else None

    async def page(self, *, status: str | None, before: str | None, limit: int) -> list[StreamRecord]:
        """Records of one status with `stream_id < before`, newest id first."""
        where, values = ["status != ?"], [_REMOVED]
        for clause, value in (("status = ?", status), ("stream_id < ?", before)):
            if value is not None:
                where.append(clause)
                values.append(value)
        question = f"SELECT record FROM streams WHERE {' AND '.join(where)} ORDER BY stream_id DESC LIMIT ?"  # noqa: S608 - constants of this function
        rows = await self._database.read(lambda db: db.execute(question, (*values, limit)).fetchall())
        return [_decoder.decode(record) for (record,) in rows]
