"""How many comments lie before each block of a stream: by that a page that passes over thousands of them finds where it begins.

A block is 128 seqs. What comes at a log's end adds to the last block alone; what comes late, or is erased, moves all
blocks after it, which are 12,000 in a stream of a million comments: 10 ms, once a batch. Counted from the rows, never added
up, so that a batch that is written again changes nothing.
"""

import sqlite3
from collections.abc import Iterable

#: Seqs of a block are 2 to this many: of them a page looks at those that are passed over, one by one.
BITS = 7
#: Offsets up to this many are passed over one by one.
FEW = 1 << BITS

_COMMENTS = "FROM items INDEXED BY items_comments WHERE comment_id IS NOT NULL"
_COUNTED = f"""
INSERT INTO ranks (no, block, comments, before) SELECT ?1, ?2, count(*), 0 {_COMMENTS} AND no = ?1 AND seq >= ?3 AND seq < ?4
ON CONFLICT (no, block) DO UPDATE SET comments = excluded.comments WHERE comments <> excluded.comments
"""
_LAST_BEFORE = "SELECT before + comments FROM ranks WHERE no = ? AND block < ? ORDER BY block DESC LIMIT 1"
_FROM = "SELECT block, comments, before FROM ranks WHERE no = ? AND block >= ? ORDER BY block"
_MOVED = "UPDATE ranks SET before = ? WHERE no = ? AND block = ?"
#: Of all streams, from their rows.
FILL = f"""
INSERT INTO ranks SELECT no, block, comments, sum(comments) OVER (PARTITION BY no ORDER BY block) - comments
FROM (SELECT no, seq >> {BITS} AS block, count(*) AS comments {_COMMENTS} GROUP BY 1, 2)
"""  # noqa: S608 - our own constants

# ?1 the stream, ?2 after, ?3 before, ?4 limit, ?5 offset.
_NO = "(SELECT no FROM tally WHERE stream_id = ?1)"


def _begins(edge: str, wanted: str) -> str:
    """Where a page begins: the block, and how many of it are passed over. *edge*: how many comments lie before its cursor."""
    return f"""
    cursor (rank) AS MATERIALIZED (SELECT coalesce((
        SELECT before + CASE WHEN block < {edge} >> {BITS} THEN comments
            ELSE (SELECT count(*) {_COMMENTS} AND no = {_NO} AND seq >= block << {BITS} AND seq < {edge}) END
        FROM ranks WHERE no = {_NO} AND block <= {edge} >> {BITS} ORDER BY block DESC LIMIT 1), 0)),
    place AS MATERIALIZED (SELECT block, {wanted} AS rest FROM cursor CROSS JOIN ranks INDEXED BY ranks_in_order
        WHERE no = {_NO} AND before """  # noqa: S608 - our own constants


#: Common tables that say in which block a page begins that passes over an offset, by whether it is descending. The comments
#: before a page's cursor are numbered from 0: a descending one begins with number rank - offset - 1.
PASSED = {
    False: _begins("(?2 + 1)", "rank + ?5 - before") + "<= rank + ?5 ORDER BY before DESC, block DESC LIMIT 1)",
    True: _begins("?3", "before + comments - rank + ?5") + "< rank - ?5 ORDER BY before DESC, block DESC LIMIT 1)",
}
_FROM_THERE = "LIMIT ?4 OFFSET coalesce((SELECT rest FROM place), 0)"
BEGUN = {
    False: f"seq >= (SELECT block FROM place) << {BITS} AND seq < ?3 ORDER BY seq ASC {_FROM_THERE}",  # noqa: S608 - our own constants
    True: f"seq > ?2 AND seq < ((SELECT block FROM place) + 1) << {BITS} ORDER BY seq DESC {_FROM_THERE}",  # noqa: S608 - our own constants
}


def recount(db: sqlite3.Connection, no: int, seqs: Iterable[int]) -> None:
    """Count the blocks of *seqs* anew, which were written or erased; the caller holds the write transaction."""
    blocks = sorted({seq >> BITS for seq in seqs})
    counted = db.executemany(_COUNTED, [(no, block, block << BITS, (block + 1) << BITS) for block in blocks])
    if not blocks or not counted.rowcount:
        return
    last = db.execute(_LAST_BEFORE, (no, blocks[0])).fetchone()
    total, moved = int(last[0]) if last else 0, []
    for block, comments, before in db.execute(_FROM, (no, blocks[0])):
        if before != total:
            moved.append((total, no, block))
        total += comments
    db.executemany(_MOVED, moved)
