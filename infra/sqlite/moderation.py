"""The ModerationStore on SQLite; see `infra.stores` for the contract."""

import sqlite3

from infra.sqlite.database import Database
from infra.stores import Decision, LoggedItem, decision_of

_DECISION = """
INSERT INTO decisions (no, seq, at_ms, action, comment_id, user_id, reason) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (no, seq) DO UPDATE SET at_ms = excluded.at_ms, action = excluded.action, comment_id = excluded.comment_id,
    user_id = excluded.user_id, reason = excluded.reason
WHERE at_ms < excluded.at_ms
"""
_PAGE = """
SELECT seq, at_ms, action, comment_id, user_id, reason FROM decisions
WHERE no = (SELECT no FROM tally WHERE stream_id = ?) AND seq < ? ORDER BY seq DESC LIMIT ?
"""


def write_decision(db: sqlite3.Connection, no: int, logged: LoggedItem) -> None:
    """Write what *logged* decides, if anything; the caller holds the write transaction."""
    if (made := decision_of(logged)) is not None:
        db.execute(_DECISION, (no, made.seq, made.at_ms, made.action, made.comment_id, made.user_id, made.reason))


class SqliteModeration:
    """What was decided in every stream, in the file of the comments."""

    def __init__(self, database: Database) -> None:
        """*database* is shared with the other stores and closed by whoever opened it."""
        self._database = database

    async def decisions(self, stream_id: str, before: int, limit: int) -> list[Decision]:
        """Decisions with `seq < before`, newest first."""
        rows = await self._database.query(_PAGE, (stream_id, min(before, 2**63 - 1), limit))
        return [
            Decision(
                stream_id=stream_id, seq=seq, at_ms=at_ms, action=action, comment_id=comment_id, user_id=user_id, reason=reason
            )
            for seq, at_ms, action, comment_id, user_id, reason in rows
        ]
