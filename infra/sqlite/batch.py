"""One batch of items, written so that neither order nor repetition matters.

Three steps in one transaction. First the items, each owning its (stream, seq). Then what they decide about
comments, kept apart from them and only ever growing: the highest seq that removed one, the highest that restored
it, the highest that purged its author. Last, every comment that was touched is judged from those three again; a comment
that nobody has decided anything on is not touched, and most streams ask that once a batch.

New comments are added to their stream's total once a batch (a trigger of each row was a sixth of the time); what changes a
row that is there changes the total by trigger.

An item that arrives with a known (stream, seq) and another payload replaces the row: a single log server that lost its
last second in a power cut gives the same seqs to new messages, and of the two the log took the later one last. What is
erased has the time until which it is (`erasure.py`).
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from infra.sqlite.erasure import PURGED, erase_later
from infra.sqlite.moderation import write_decision
from infra.sqlite.ranks import recount
from infra.sqlite.schema import COARSE, FINE
from infra.stores import LoggedItem
from schemas.items import Comment, Purged, Removed, Restored

_NEW = "INSERT INTO items (no, seq, at_ms, payload, msg_id, comment_id, parent_id, user_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ITEM = f"""
{_NEW}
ON CONFLICT (no, seq) DO UPDATE SET at_ms = excluded.at_ms, payload = excluded.payload, msg_id = excluded.msg_id,
    comment_id = excluded.comment_id, parent_id = excluded.parent_id, user_id = excluded.user_id, removed = NULL
WHERE at_ms < excluded.at_ms
    OR (at_ms = excluded.at_ms AND payload <> x'' AND (payload <> excluded.payload OR msg_id IS NOT excluded.msg_id))
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
_SPAN = """
INSERT INTO spans (no, width, span, low, high) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (no, width, span) DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)
"""
_THROUGH = """
INSERT INTO archived (log, through) VALUES (?, ?)
ON CONFLICT (log) DO UPDATE SET through = max(through, excluded.through)
"""
_NEWEST = "SELECT max(seq) FROM items WHERE no = ?"
_KNOWN = "SELECT 1 FROM items WHERE no = ? AND seq = ?"
_COUNTED = "UPDATE tally SET comments = comments + ? WHERE no = ?"
_ANY_VERDICT = "SELECT 1 FROM verdicts WHERE no = ? LIMIT 1"
_ANY_PURGE = "SELECT 1 FROM purges WHERE no = ? LIMIT 1"
_VERDICT = "SELECT 1 FROM verdicts WHERE no = ? AND comment_id = ?"
_PURGE = "SELECT 1 FROM purges WHERE no = ? AND user_id = ?"
_JUDGED = """
SELECT i.seq, i.removed, v.removed_seq, v.reason, v.restored_seq, p.seq
FROM items i INDEXED BY items_by_comment
LEFT JOIN verdicts v ON v.no = i.no AND v.comment_id = i.comment_id
LEFT JOIN purges p ON p.no = i.no AND p.user_id = i.user_id
WHERE i.no = ? AND i.comment_id = ?
"""
_THEIRS = "SELECT comment_id FROM items INDEXED BY items_by_user WHERE no = ? AND user_id = ? AND seq < ?"

#: What `_ITEM` takes.
_ItemRow = tuple[int, int, int, bytes, str | None, str | None, str | None, str | None]


def write_batch(db: sqlite3.Connection, items: Sequence[LoggedItem], archived_through: Mapping[str, int]) -> None:
    """Write *items* and the watermarks; the caller holds the write transaction."""
    of_streams: dict[str, list[LoggedItem]] = {}
    for item in items:
        of_streams.setdefault(item.stream_id, []).append(item)
    for stream_id, theirs in of_streams.items():
        _write_stream(db, number(db, stream_id), theirs)
    db.executemany(_THROUGH, archived_through.items())


def _write_stream(db: sqlite3.Connection, no: int, items: Sequence[LoggedItem]) -> None:
    _insert(db, no, [_row(no, item) for item in items])
    db.executemany(_SPAN, _spans(no, items))
    touched: dict[str, None] = {}
    for item in items:
        if not isinstance(item.item, Comment):
            touched.update(dict.fromkeys(_decide(db, no, item)))
            write_decision(db, no, item)
    erase_later(db, no, items)
    recount(db, no, (item.seq for item in items))
    touched.update(dict.fromkeys(_decided(db, no, items)))
    for comment_id in touched:
        _judge(db, no, comment_id)


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


def number(db: sqlite3.Connection, stream_id: str) -> int:
    """The number that stands for a stream in this file; a new one for a new stream."""
    db.execute("INSERT INTO tally (stream_id) VALUES (?) ON CONFLICT DO NOTHING", (stream_id,))
    return int(db.execute("SELECT no FROM tally WHERE stream_id = ?", (stream_id,)).fetchone()[0])


def _row(no: int, logged: LoggedItem) -> _ItemRow:
    item = logged.item
    if isinstance(item, Comment):
        own = (item.comment_id, item.parent_comment_id, item.user.id)
        return (no, logged.seq, logged.at_ms, logged.payload, logged.msg_id, *own)
    return (no, logged.seq, logged.at_ms, logged.payload, logged.msg_id, None, None, None)


def _insert(db: sqlite3.Connection, no: int, rows: Sequence[_ItemRow]) -> None:
    newest = db.execute(_NEWEST, (no,)).fetchone()[0] or 0
    new: dict[int, _ItemRow] = {}
    others: list[_ItemRow] = []
    for row in rows:
        if row[1] > newest and row[1] not in new:
            new[row[1]] = row
        else:
            others.append(row)
    # Nearly always all are new. What may be there already takes an upsert, which costs 7 us more.
    added = sum(row[5] is not None for row in new.values())
    seen = set(new)
    for row in others:
        if row[1] not in seen:
            seen.add(row[1])
            added += row[5] is not None and db.execute(_KNOWN, (no, row[1])).fetchone() is None
    db.executemany(_NEW, new.values())
    db.executemany(_ITEM, others)
    db.execute(_COUNTED, (added, no))


def _spans(no: int, items: Sequence[LoggedItem]) -> list[tuple[int, int, int, int, int]]:
    fine: dict[int, tuple[int, int]] = {}
    for item in items:
        if isinstance(item.item, Comment):
            span, seq = item.at_ms >> FINE, item.seq
            low, high = fine.get(span, (seq, seq))
            if not low < seq < high:
                fine[span] = (min(low, seq), max(high, seq))
    coarse: dict[int, tuple[int, int]] = {}
    for span, ends in fine.items():
        low, high = coarse.get(span >> (COARSE - FINE), ends)
        coarse[span >> (COARSE - FINE)] = (min(low, ends[0]), max(high, ends[1]))
    return [(no, width, span, *ends) for width, found in ((FINE, fine), (COARSE, coarse)) for span, ends in found.items()]


def _decided(db: sqlite3.Connection, no: int, items: Sequence[LoggedItem]) -> Iterable[str]:
    """The comments among *items* that a verdict is on, or a purge of their author."""
    verdicts = db.execute(_ANY_VERDICT, (no,)).fetchone() is not None
    purges = db.execute(_ANY_PURGE, (no,)).fetchone() is not None
    if not verdicts and not purges:
        return
    for item in items:
        said = item.item
        if isinstance(said, Comment) and (
            (verdicts and db.execute(_VERDICT, (no, said.comment_id)).fetchone() is not None)
            or (purges and db.execute(_PURGE, (no, said.user.id)).fetchone() is not None)
        ):
            yield said.comment_id


def _decide(db: sqlite3.Connection, no: int, logged: LoggedItem) -> Iterable[str]:
    """Remember what one item decides, and name the comments it may concern."""
    match logged.item:
        case Removed(comment_id=comment_id, reason=reason):
            db.execute(_REMOVED, (no, comment_id, logged.seq, reason))
            return [comment_id]
        case Restored(comment=comment):
            db.execute(_RESTORED, (no, comment.comment_id, logged.seq))
            return [comment.comment_id]
        case Purged(user_id=user_id):
            db.execute(_PURGED, (no, user_id, logged.seq))
            return [comment_id for (comment_id,) in db.execute(_THEIRS, (no, user_id, logged.seq))]
    return []


def _judge(db: sqlite3.Connection, no: int, comment_id: str) -> None:
    for seq, present, *words in db.execute(_JUDGED, (no, comment_id)).fetchall():
        verdict = standing(seq, *words)
        if verdict != present:
            db.execute("UPDATE items SET removed = ? WHERE no = ? AND seq = ?", (verdict, no, seq))
