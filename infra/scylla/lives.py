"""For how long what was counted holds, by what the database says the rows have left.

Rows end one by one and never by an event of ours, so nobody counts what is left of them when they do. Their counts end before.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

from infra.scylla.database import Found

#: Seconds by which a count ends before the first of its comments, and the rest of a tally after the last of its items: clocks
#: of nodes may differ, and between reading the rows and writing their count a node may have been waited for.
SLACK_S = 60


class Life(NamedTuple):
    """For how many seconds a count is believed, `None` for not at all, and for how many the rest is kept; 0 is for ever."""

    believed_s: int | None
    kept_s: int

    @classmethod
    def of(cls, comments: int, ending: int, first_left_s: int | None, last_left_s: int | None, ttl_s: int) -> Self:
        """That of a block with so many *comments*, of which so many are *ending*, and what its items have left.

        Without any comments it is *ttl_s*: nothing can end that was counted.
        """
        if not comments:
            return cls(ttl_s, ttl_s)
        kept_s = 0 if last_left_s is None or ending < comments else last_left_s + SLACK_S
        if first_left_s is None:
            return cls(0, kept_s)
        return cls(first_left_s - SLACK_S if first_left_s > SLACK_S else None, kept_s)

    @classmethod
    def of_rows(cls, rows: Sequence[Found], ttl_s: int) -> Self:
        """That of a block with these rows."""
        # Rows of a batch have the same left: of 512 rows there are a few pairs.
        left = {(bool(row.comment_id), row.left_s) for row in rows if row.at_ms is not None}
        comments = {left_s for said, left_s in left if said}
        ending = comments - {None}
        # What is erased stays for ever, and is no comment.
        last_left_s = max((left_s for _, left_s in left if left_s is not None), default=None)
        return cls.of(len(comments), len(ending), min(ending, default=None), last_left_s, ttl_s)

    @classmethod
    def of_blocks(cls, rows: Sequence[Found], ttl_s: int, *, ended: bool) -> Self:
        """That of a bucket with these blocks; *ended*: of one it is not known how many there are."""
        kept = [row.kept_s for row in rows if row.high_seq is not None]
        kept_s = 0 if None in kept else max(kept, default=ttl_s)
        believed = (row.believed_s for row in rows if row.comments and row.believed_s is not None)
        return cls(None if ended else min(believed, default=kept_s), kept_s)
