"""The ModerationStore on CQL; see `infra.stores` for the contract."""

from collections.abc import Iterable

from infra.scylla.database import Database, Row
from infra.scylla.facts import event_us
from infra.stores import Decision, LoggedItem, decision_of

_COLUMNS = "stream_id, seq, at_ms, action, comment_id, user_id, reason"
AUDIT = f"INSERT INTO {{ks}}.audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ? AND TTL ?"  # noqa: S608 - our own constant
_PAGE = f"SELECT {_COLUMNS} FROM {{ks}}.audit WHERE stream_id = ? AND seq < ? LIMIT ?"  # noqa: S608 - our own constant
#: What a page of the driver holds at most.
PAGE = 1000


def values_of(made: Decision) -> tuple[object, ...]:
    """The columns of one decision. None is left out or null, so that a row is one decision's whole."""
    named = (made.comment_id or "", made.user_id or "", made.reason or "")
    return (made.stream_id, made.seq, made.at_ms, made.action, *named)


class Moderated:
    """What was decided, as rows."""

    def __init__(self, database: Database) -> None:
        """*database*: where they go."""
        self._database = database

    async def rows(self, items: Iterable[LoggedItem]) -> list[Row]:
        """The decisions among *items*."""
        statement = await self._database.prepare(AUDIT)
        # As long as the decisions themselves.
        ttl = 2 * self._database.address.ttl_s
        made = ((item, decision) for item in items if (decision := decision_of(item)) is not None)
        return [Row(statement, (item.stream_id,), (*values_of(decision), event_us(item), ttl)) for item, decision in made]


class ScyllaModeration:
    """What was decided in every stream, in the keyspace of the comments."""

    def __init__(self, database: Database) -> None:
        """*database* is shared with the other stores and closed by whoever opened it."""
        self._database = database

    async def decisions(self, stream_id: str, before: int, limit: int) -> list[Decision]:
        """Decisions with `seq < before`, newest first."""
        found: list[Decision] = []
        before = min(before, 2**63 - 1)
        while len(found) < limit:
            size = min(limit - len(found), PAGE)
            rows = await self._database.read(_PAGE, stream_id, before, size)
            found += [
                Decision(
                    stream_id=stream_id,
                    seq=row.seq,
                    at_ms=row.at_ms,
                    action=row.action,
                    comment_id=row.comment_id or None,
                    user_id=row.user_id or None,
                    reason=row.reason or None,
                )
                for row in rows
            ]
            if len(rows) < size:
                break
            before = rows[-1].seq
        return found
