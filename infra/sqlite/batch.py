"""One batch of items, written so that neither order nor repetition matters.

Three steps in one transaction. First the items, each owning its (stream, seq). Then what they decide about
comments, kept apart from them and only ever growing: the highest seq that removed one, the highest that restored
it, the highest that purged its author. Last, every comment that was touched is judged from those three again.

An item that arrives with a known (stream, seq) and another payload replaces the row: a single log server that lost its
last second in a power cut gives the same seqs to new messages, and the log is the authority.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from infra.stores import LoggedItem
from schemas.items import Comment, Purged, Removed, Restored

PURGED = "purged"

_ITEM = """
INSERT INTO items (no, seq, at_ms, payload, msg_id, comment_id, parent_id, user_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (no, seq) DO UPDATE SET at_ms = excluded.at_ms, payload = excluded.payload, msg_id = excluded.msg_id,
    comment_id = excluded.comment_id, parent_id = excluded.parent_id, user_id = excluded.user_id, removed = NULL
WHERE payload <> excluded.payload OR msg_id IS NOT excluded.msg_id
"""
_REMOVED = """
INSERT INTO verdicts (no, comment_id, removed_seq, reason) VALUES (?, ?, ?, ?)
ON CONFLICT (no, comment_id) DO UPDATE SET removed_seq = excluded.removed_seq, reason = excluded.reason
WHERE excluded.removed_seq >= removed_seq
"""
_RESTORED = """
INSERT INTO verdicts (no, comment_id, restored_seq) VALUES (?, ?, ?)
ON CONFLICT (no, comment_id) DO UPDATE SET restored_seq = max(restored_seq, excluded.restored_seq)
"""
_PURGED = """
INSERT INTO purges (no, user_id, seq) VALUES (?, ?, ?)
ON CONFLICT (no, user_id) DO UPDATE SET seq = max(seq, excluded.seq)
"""
_MINUTE = """
INSERT INTO minutes (no, minute, low, high) VALUES (?, ?, ?, ?)
ON CONFLICT (no, minute) DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)
"""
_THROUGH = """
INSERT INTO archived (log, through) VALUES (?, ?)
ON CONFLICT (log) DO UPDATE SET through = max(through, excluded.through)
"""
_JUDGED = """
SELECT i.seq, i.removed, v.removed_seq, v.reason, v.restored_seq, p.seq
FROM items i INDEXED BY items_by_comment
LEFT JOIN verdicts v ON v.no = i.no AND v.comment_id = i.comment_id
LEFT JOIN purges p ON p.no = i.no AND p.user_id = i.user_id
WHERE i.no = ? AND i.comment_id = ?
"""
_THEIRS = "SELECT comment_id FROM items INDEXED BY items_by_user WHERE no = ? AND user_id = ? AND seq < ?"

#: A comment within the file: the stream's number and the comment's id.
_Named = tuple[int, str]


def write_batch(db: sqlite3.Connection, items: Sequence[LoggedItem], archived_through: Mapping[str, int]) -> None:
    """Write *items* and the watermarks; the caller holds the write transaction."""
    numbers = {stream_id: _number(db, stream_id) for stream_id in {item.stream_id for item in items}}
    numbered = [(numbers[item.stream_id], item) for item in items]
    db.executemany(_ITEM, [_row(no, item) for no, item in numbered])
    db.executemany(_MINUTE, _minutes(numbered))
    touched: dict[_Named, None] = {}
    for no, item in numbered:
        touched.update(dict.fromkeys(_decide(db, no, item)))
    for no, comment_id in touched:
        _judge(db, no, comment_id)
    db.executemany(_THROUGH, archived_through.items())


def standing(
    seq: int, removed_seq: int | None, reason: str | None, restored_seq: int | None, purged_seq: int | None
) -> str | None:
    """Why the comment at *seq* is gone; `None` while it may be shown. Each seq is the highest of its kind, if any.

    The latest word counts: a restore undoes what came before it, be it a removal or a purge, and nothing after it. A
    purge concerns what was said before it.
    """
    removed_at = removed_seq or 0
    purged_at = purged_seq if purged_seq is not None and purged_seq > seq else 0
    if max(removed_at, purged_at) <= (restored_seq or 0):
        return None
    return reason if removed_at >= purged_at else PURGED


def _number(db: sqlite3.Connection, stream_id: str) -> int:
    db.execute("INSERT INTO tally (stream_id) VALUES (?) ON CONFLICT DO NOTHING", (stream_id,))
    return int(db.execute("SELECT no FROM tally WHERE stream_id = ?", (stream_id,)).fetchone()[0])


def _row(no: int, logged: LoggedItem) -> tuple[int | str | bytes | None, ...]:
    item = logged.item
    own: tuple[str | None, ...] = (None, None, None)
    if isinstance(item, Comment):
        own = (item.comment_id, item.parent_comment_id, item.user.id)
    return (no, logged.seq, logged.at_ms, logged.payload, logged.msg_id, *own)


def _minutes(numbered: Sequence[tuple[int, LoggedItem]]) -> list[tuple[int, int, int, int]]:
    bounds: dict[tuple[int, int], tuple[int, int]] = {}
    for no, item in numbered:
        key = (no, item.at_ms // 60_000)
        low, high = bounds.get(key, (item.seq, item.seq))
        bounds[key] = (min(low, item.seq), max(high, item.seq))
    return [(*key, *ends) for key, ends in bounds.items()]


def _decide(db: sqlite3.Connection, no: int, logged: LoggedItem) -> Iterable[_Named]:
    """Remember what one item decides, and name the comments it may concern."""
    match logged.item:
        case Comment(comment_id=comment_id):
            return [(no, comment_id)]
        case Removed(comment_id=comment_id, reason=reason):
            db.execute(_REMOVED, (no, comment_id, logged.seq, reason))
            return [(no, comment_id)]
        case Restored(comment=comment):
            db.execute(_RESTORED, (no, comment.comment_id, logged.seq))
            return [(no, comment.comment_id)]
        case Purged(user_id=user_id):
            db.execute(_PURGED, (no, user_id, logged.seq))
            return [(no, comment_id) for (comment_id,) in db.execute(_THEIRS, (no, user_id, logged.seq))]
    return []


def _judge(db: sqlite3.Connection, no: int, comment_id: str) -> None:
    for seq, present, *words in db.execute(_JUDGED, (no, comment_id)).fetchall():
        verdict = standing(seq, *words)
        if verdict != present:
            db.execute("UPDATE items SET removed = ? WHERE no = ? AND seq = ?", (verdict, no, seq))
