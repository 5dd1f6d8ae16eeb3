"""The PeopleStore on CQL; see `infra.stores` for the contract.

What somebody said in one stream is a lookup, as all keys are. In which streams they spoke is listed by the day of the stream's
id: a partition of a day has many people, since rows that share a partition share a write.
"""

import asyncio
import math
import time
from collections.abc import Iterable

from infra.scylla import places
from infra.scylla.database import Database, Found, Row
from infra.scylla.facts import event_us
from infra.scylla.seqs import rows_at
from infra.scylla.wanted import COLUMNS, SLACK, stored
from infra.stores import LoggedItem, StoredItem
from schemas import codec
from schemas.items import Comment

PAGE = 1000
_MAX = 2**63 - 1
#: Who spoke where, of the last minute: somebody who talks on is not listed with every word. At most so many are remembered.
REMEMBER_S = 60.0
REMEMBERED = 65_536
#: Sorts after every id.
_LAST = "g"

_SPOKE = """INSERT INTO {ks}.spoke (day, part, user_id, stream_id) VALUES (?, ?, ?, ?)
USING TIMESTAMP ? AND TTL ?"""
_FORGET = "DELETE FROM {ks}.spoke USING TIMESTAMP ? WHERE day = ? AND part = ? AND user_id = ? AND stream_id = ?"
_WHERE = f"""SELECT stream_id FROM {{ks}}.spoke
WHERE day = ? AND part = ? AND user_id = ? AND stream_id < ? LIMIT {PAGE}"""  # noqa: S608 - our own constant
_ANY = "SELECT seq FROM {ks}.lookups WHERE stream_id = ? AND part = ? AND key = ? LIMIT 1"
_SAID = """SELECT seq FROM {ks}.lookups WHERE stream_id = ? AND part = ? AND key = ? AND seq < ?
ORDER BY key DESC, seq DESC LIMIT ?"""
_AT = f"SELECT {COLUMNS} FROM {{ks}}.items WHERE stream_id = ? AND bucket = ? AND seq IN ?"  # noqa: S608 - our own constant
_MONTHS = "SELECT month FROM {ks}.stream_months WHERE name = ? AND month <= ?"
_MONTH = "INSERT INTO {ks}.stream_months (name, month) VALUES (?, ?)"
#: The months in which anybody spoke; no status of streams is called so.
SPOKE = "spoke"


class Spoken:
    """Who spoke in which stream, written through one handle."""

    def __init__(self, database: Database) -> None:
        """*database*: where it is written."""
        self._database = database
        # As a decision: longer than any comment that was said until it is written again.
        self._ttl = 2 * database.address.ttl_s
        self._known: dict[tuple[str, str], float] = {}

    async def rows(self, items: Iterable[LoggedItem]) -> list[Row]:
        """Who speaks in *items* and was not written within the last minute; `known` once they are."""
        new: dict[tuple[str, str], int] = {}
        since = time.monotonic() - REMEMBER_S
        for item in items:
            if isinstance(item.item, Comment):
                key = (item.item.user.id, item.stream_id)
                if self._known.get(key, -math.inf) <= since:
                    new[key] = max(new.get(key, 0), event_us(item))
        statement, month = await asyncio.gather(self._database.prepare(_SPOKE), self._database.prepare(_MONTH))
        months = sorted({places.day_of(stream_id) // places.MONTH_DAYS for _, stream_id in new})
        rows = [Row(month, (SPOKE,), (SPOKE, number)) for number in months]
        for (user_id, stream_id), at_us in new.items():
            place = (places.day_of(stream_id), places.person_of(user_id))
            rows.append(Row(statement, place, (*place, user_id, stream_id, at_us, self._ttl), 100 + len(user_id)))
        return rows

    def known(self, items: Iterable[LoggedItem]) -> None:
        """Remember that those who speak in *items* are written."""
        now = time.monotonic()
        for item in items:
            if isinstance(item.item, Comment):
                key = (item.item.user.id, item.stream_id)
                if self._known.get(key, -math.inf) <= now - REMEMBER_S:
                    self._known[key] = now
        if len(self._known) > REMEMBERED:
            self._known.clear()

    async def forget(self, stream_id: str, user_id: str, until_us: int) -> None:
        """Somebody of whom nothing is looked up in the stream any more has not spoken there, until then."""
        key = places.by_user(user_id)
        if await self._database.read(_ANY, stream_id, places.part_of(key), key):
            return
        place = (places.day_of(stream_id), places.person_of(user_id))
        statement = await self._database.prepare(_FORGET)
        await self._database.put([Row(statement, place, (until_us, *place, user_id, stream_id))])


class ScyllaPeople:
    """What each person has said, in the keyspace of the comments."""

    def __init__(self, database: Database) -> None:
        """*database* is shared with the other stores and closed by whoever opened it."""
        self._database = database

    async def said_in(self, stream_id: str, user_id: str, before: int, limit: int) -> list[StoredItem]:
        """One person's comments of one stream with `seq < before`, newest first."""
        key = places.by_user(user_id)
        found: list[StoredItem] = []
        before = min(before, _MAX)
        while len(found) < limit:
            # A few more: what a seq held before its log lost its last second may be looked up still.
            size = min(limit - len(found) + SLACK, PAGE)
            rows = await self._database.read(_SAID, stream_id, places.part_of(key), key, before, size)
            found += [stored(stream_id, row) for row in await self._theirs(stream_id, user_id, [row.seq for row in rows])]
            if len(rows) < size:
                break
            before = rows[-1].seq
        return found[:limit]

    async def said(self, user_id: str, before: tuple[str, int] | None, limit: int) -> list[StoredItem]:
        """One person's comments of all streams, newest stream first and newest comment first in each."""
        found = [] if before is None else await self.said_in(before[0], user_id, before[1], limit)
        last = _LAST if before is None else before[0]
        newest = 2**31 - 1 if before is None else places.day_of(before[0]) // places.MONTH_DAYS
        for row in await self._database.read(_MONTHS, SPOKE, newest):
            if len(found) == limit:
                break
            for stream_id in await self._streams(user_id, row.month, last):
                found += await self.said_in(stream_id, user_id, _MAX, limit - len(found))
                if len(found) == limit:
                    break
        return found

    async def _streams(self, user_id: str, month: int, before: str) -> list[str]:
        """The streams of one month in which somebody spoke, newest first."""
        part = places.person_of(user_id)
        last = places.LAST_DAY if before == _LAST else places.day_of(before)
        days = range(month * places.MONTH_DAYS, min((month + 1) * places.MONTH_DAYS, last + 1))
        answers = await asyncio.gather(*(self._day(day, part, user_id, before) for day in days))
        return sorted((stream_id for some in answers for stream_id in some), reverse=True)

    async def _day(self, day: int, part: int, user_id: str, before: str) -> list[str]:
        found: list[str] = []
        while True:
            rows = await self._database.read(_WHERE, day, part, user_id, before)
            found += [row.stream_id for row in rows]
            if len(rows) < PAGE:
                return found
            before = found[-1]

    async def _theirs(self, stream_id: str, user_id: str, seqs: list[int]) -> list[Found]:
        rows = [row for row in await rows_at(self._database, _AT, stream_id, seqs) if row.payload and row.comment_id]
        return sorted((row for row in rows if _author(row.payload) == user_id), key=lambda row: -row.seq)


def _author(payload: bytes) -> str | None:
    item = codec.decode_item(payload)
    return item.user.id if isinstance(item, Comment) else None
