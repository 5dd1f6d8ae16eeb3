"""The PeopleStore on SQLite; see `infra.stores` for the contract.

A person is looked for in every stream of the file, newest first: 26 ms where there are 100,000, and
nothing more to write with a comment.
"""

from infra.sqlite.database import Database
from infra.stores import StoredItem

_COLUMNS = "stream_id, seq, at_ms, payload, removed, msg_id"
_IN_ONE = f"""
SELECT {_COLUMNS} FROM tally CROSS JOIN items INDEXED BY items_by_user
ON items.no = tally.no AND user_id = ? AND seq < ?
WHERE stream_id = ? ORDER BY seq DESC LIMIT ?
"""  # noqa: S608 - our own constant
_IN_ALL = f"""
SELECT {_COLUMNS} FROM tally CROSS JOIN items INDEXED BY items_by_user
ON items.no = tally.no AND user_id = ?
WHERE stream_id < ? ORDER BY stream_id DESC, seq DESC LIMIT ?
"""  # noqa: S608 - our own constant
#: Sorts after every id.
_LAST = "g"


class SqlitePeople:
    """What each person has said, in the file of the comments."""

    def __init__(self, database: Database) -> None:
        """*database* is shared with the other stores and closed by whoever opened it."""
        self._database = database

    async def said_in(self, stream_id: str, user_id: str, before: int, limit: int) -> list[StoredItem]:
        """One person's comments of one stream with `seq < before`, newest first."""
        rows = await self._database.query(_IN_ONE, (user_id, min(before, 2**63 - 1), stream_id, limit))
        return [_stored(*row) for row in rows]

    async def said(self, user_id: str, before: tuple[str, int] | None, limit: int) -> list[StoredItem]:
        """One person's comments of all streams, newest stream first and newest comment first in each."""
        found = [] if before is None else await self.said_in(before[0], user_id, before[1], limit)
        if len(found) < limit:
            last = _LAST if before is None else before[0]
            rows = await self._database.query(_IN_ALL, (user_id, last, limit - len(found)))
            found += [_stored(*row) for row in rows]
        return found


def _stored(stream_id: str, seq: int, at_ms: int, payload: bytes, removed: str | None, msg_id: str | None) -> StoredItem:
    return StoredItem(stream_id=stream_id, seq=seq, at_ms=at_ms, payload=payload, removed=removed, msg_id=msg_id)
