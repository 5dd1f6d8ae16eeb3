"""What is erased for good: the row stays at its seq, empty; what it held is gone, and so is every index entry of it.

An erased row has an empty payload and the time until which the log's messages at that seq are erased: `batch.py` lets
nothing older in its place. A comment that is erased counts as removed for ever (`NEVER` is above every restore), so that
whoever still has it from the log does not show it; a restore carries the whole comment, so it is erased with it.
"""

import sqlite3
from collections.abc import Iterable

from infra.stores import LoggedItem
from schemas.items import Restored

#: Above every seq there is: nothing that is decided later undoes it.
NEVER = 2**62
PURGED = "purged"

_HELD = "SELECT at_ms, comment_id, removed FROM items WHERE no = ? AND seq = ?"
_EMPTY = """
INSERT INTO items (no, seq, at_ms, payload) VALUES (?, ?, ?, x'')
ON CONFLICT (no, seq) DO UPDATE SET at_ms = excluded.at_ms, payload = x'', msg_id = NULL, comment_id = NULL,
    parent_id = NULL, user_id = NULL, removed = NULL
"""
_MARK = "INSERT INTO erased (no, seq, comment_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_FOR_EVER = """
INSERT INTO verdicts (no, comment_id, removed_seq, reason) VALUES (?, ?, ?, ?)
ON CONFLICT (no, comment_id) DO UPDATE SET removed_seq = excluded.removed_seq, reason = excluded.reason
WHERE removed_seq < excluded.removed_seq
"""
_MARKED = "SELECT 1 FROM erased WHERE no = ? AND comment_id = ?"
_RESTORES = "SELECT seq FROM decisions WHERE no = ? AND comment_id = ? AND action = 'restored'"
ERASED = """
SELECT erased.seq FROM erased CROSS JOIN items ON items.no = erased.no AND items.seq = erased.seq AND payload = x''
WHERE erased.no = (SELECT no FROM tally WHERE stream_id = ?) AND erased.seq > ? AND erased.seq <= ? ORDER BY erased.seq LIMIT ?
"""


def erase(db: sqlite3.Connection, no: int, seqs: Iterable[int], until_ms: int) -> None:
    """Erase what the log put at *seqs* until *until_ms*; the caller holds the write transaction."""
    for seq in sorted(seqs):
        at_ms, comment_id, removed = db.execute(_HELD, (no, seq)).fetchone() or (until_ms, None, None)
        if at_ms > until_ms:
            # Another item by now, or erased already.
            continue
        db.execute(_EMPTY, (no, seq, until_ms))
        db.execute(_MARK, (no, seq, comment_id))
        if comment_id is not None:
            db.execute(_FOR_EVER, (no, comment_id, NEVER, removed or PURGED))
            erase(db, no, [seq for (seq,) in db.execute(_RESTORES, (no, comment_id)).fetchall()], until_ms)


def erase_restore(db: sqlite3.Connection, no: int, logged: LoggedItem) -> None:
    """Erase *logged*, just written, if it brings back a comment that is erased."""
    if not isinstance(logged.item, Restored):
        return
    if db.execute(_MARKED, (no, logged.item.comment.comment_id)).fetchone() is not None:
        erase(db, no, [logged.seq], logged.at_ms)
