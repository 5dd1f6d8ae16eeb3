"""What is erased for good: the row stays at its seq, empty; what it held is gone, and so is every index entry of it.

An erased row has an empty payload and the time until which the log's messages at that seq are erased: `batch.py` lets
nothing older in its place. A comment that is erased counts as removed for ever (`NEVER` is above every restore), so that
whoever still has it from the log does not show it; a restore carries the whole comment, so it is erased with it.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from infra.stores import LoggedItem
from schemas.items import Comment, Restored

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
_NAMELESS = """
SELECT erased.seq, at_ms FROM erased CROSS JOIN items ON items.no = erased.no AND items.seq = erased.seq AND payload = x''
WHERE erased.no = ? AND erased.seq BETWEEN ? AND ? AND erased.comment_id IS NULL
"""
_NAMED = "UPDATE erased SET comment_id = ? WHERE no = ? AND seq = ?"
_MARKED = "SELECT 1 FROM erased WHERE no = ? AND comment_id = ?"
_RESTORES = "SELECT seq, at_ms FROM decisions WHERE no = ? AND comment_id = ? AND action = 'restored'"
ERASED = """
SELECT erased.seq FROM erased CROSS JOIN items ON items.no = erased.no AND items.seq = erased.seq AND payload = x''
WHERE erased.no = (SELECT no FROM tally WHERE stream_id = ?) AND erased.seq > ? AND erased.seq <= ? ORDER BY erased.seq LIMIT ?
"""


def erase(db: sqlite3.Connection, no: int, seqs: Iterable[int], until_ms: int) -> None:
    """Erase what the log put at *seqs* until *until_ms*; the caller holds the write transaction."""
    for seq in sorted(seqs):
        at_ms, comment_id, removed = db.execute(_HELD, (no, seq)).fetchone() or (until_ms, None, None)
        if at_ms > until_ms:
            # Another item by now, or erased for longer already.
            continue
        db.execute(_EMPTY, (no, seq, until_ms))
        db.execute(_MARK, (no, seq, comment_id))
        if comment_id is not None:
            _for_ever(db, no, comment_id, removed or PURGED)


def erase_later(db: sqlite3.Connection, no: int, items: Sequence[LoggedItem]) -> None:
    """See to those of *items*, just written, that an erasure concerned before they came.

    A restore of a comment that is erased is erased. A comment that was erased by its seq alone is known by its id from now on.
    """
    first, last = min(item.seq for item in items), max(item.seq for item in items)
    nameless = dict(db.execute(_NAMELESS, (no, first, last)).fetchall())
    for logged in items:
        match logged.item:
            case Comment(comment_id=comment_id) if logged.at_ms <= nameless.get(logged.seq, -1):
                db.execute(_NAMED, (comment_id, no, logged.seq))
                _for_ever(db, no, comment_id, PURGED)
            case Restored(comment=comment):
                if db.execute(_MARKED, (no, comment.comment_id)).fetchone() is not None:
                    erase(db, no, [logged.seq], logged.at_ms)


def _for_ever(db: sqlite3.Connection, no: int, comment_id: str, reason: str) -> None:
    db.execute(_FOR_EVER, (no, comment_id, NEVER, reason))
    for seq, at_ms in db.execute(_RESTORES, (no, comment_id)).fetchall():
        erase(db, no, [seq], at_ms)
