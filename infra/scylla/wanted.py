"""What a page wants of a stream, and where it may be."""

from msgspec import Struct

from infra.scylla import places
from infra.scylla.database import Found
from infra.scylla.facts import verdict
from infra.scylla.tallies import Tally
from infra.stores import StoredItem

#: What is read of a row.
COLUMNS = "seq, at_ms, payload, msg_id, comment_id, decided"
#: Seqs between two comments of a lively stream that are worth a question of their own.
SWEEP = 64
#: More rows than a page of an answer has.
ALL = 2**31
#: Above every seq of a log.
NO_CURSOR = 2**53
#: On top of what is wanted: removals and other items between the comments; and where it is known between which seqs these are.
SLACK = 16
KNOWN_SLACK = 8


class Wanted(Struct, frozen=True, kw_only=True):
    """Rows with `after < seq < before` of one stream; *comments*: nothing else, and only those of these times."""

    stream_id: str
    after: int
    before: int
    descending: bool = False
    comments: bool = False
    from_ms: int | None = None
    to_ms: int | None = None

    @property
    def has_cursor(self) -> bool:
        """Whether it begins elsewhere than at the stream's own end."""
        return self.before < NO_CURSOR if self.descending else self.after > 0

    @property
    def begins(self) -> int:
        """The first seq that may be in it, in its order."""
        return self.before - 1 if self.descending else self.after + 1

    @property
    def timed(self) -> bool:
        """Whether times matter."""
        return self.from_ms is not None or self.to_ms is not None

    def takes(self, row: Found) -> bool:
        """Whether a row within the range is wanted."""
        if not row.payload:
            # A decision whose comment has not arrived, or what is erased.
            return False
        return not self.comments or (bool(row.comment_id) and self._in_time(row.at_ms, row.at_ms))

    def may_hold(self, tally: Tally) -> bool:
        """Whether any of what was counted, or was not yet, may be wanted."""
        return not self.comments or tally.behind or (tally.comments > 0 and self._in_time(tally.low_ms, tally.high_ms))

    def holds_all(self, first: int, last: int, tally: Tally) -> bool:
        """Whether all comments that were counted from seq *first* to *last* are wanted."""
        inside = self.after < first and last < self.before and not tally.behind
        return (
            inside
            and (self.from_ms is None or self.from_ms <= tally.low_ms)
            and (self.to_ms is None or tally.high_ms < self.to_ms)
        )

    def untimely(self, tally: Tally) -> int:
        """About how many of what was counted come before the time, in the page's order."""
        if not self.timed:
            return 0
        ms = tally.high_ms - tally.low_ms + 1
        late = tally.high_ms + 1 - self.to_ms if self.to_ms is not None and self.descending else 0
        early = self.from_ms - tally.low_ms if self.from_ms is not None and not self.descending else 0
        vain = min(max(late, early, 0), ms)
        return tally.comments * vain // ms + (SLACK if vain else 0)

    def _in_time(self, low_ms: int, high_ms: int) -> bool:
        return (self.from_ms is None or high_ms >= self.from_ms) and (self.to_ms is None or low_ms < self.to_ms)


class Span(Struct, frozen=True, kw_only=True):
    """Seqs with `after < seq < before`, all of one bucket, that hold *about* so many wanted rows.

    *finest*: it is of whole blocks. *known*: it begins and ends with a comment, as its blocks do. *slack*: about how many rows
    that are no comments come before its first, or between. *parts*: of each of its blocks, as they are known, the first and
    the last seq and about how many; *sure* are in those that lie in it whole. *left*: the last so many of them are wanted,
    exactly; 0 where it is not so.
    """

    after: int
    before: int
    about: int
    finest: bool = False
    slack: int = SLACK
    known: bool = False
    parts: tuple[tuple[int, int, int], ...] = ()
    sure: int = 0
    left: int = 0

    def size(self, need: int) -> int:
        """How many rows hold *need* of the wanted ones; all of them, where it is not known whether there are as many."""
        return need + self.slack if self.known or self.about >= need else ALL

    def top(self, count: int) -> int:
        """Below which seq the lowest *count* comments are, and a few more: they may not be spread evenly."""
        goal = count + (count + KNOWN_SLACK) // 4 + self.slack
        for low, high, about in sorted(self.parts):
            if about >= goal:
                return min(low + (high - low + 1) * goal // about + 1, self.before)
            goal -= about
        return self.before

    def apart(self, other: "Span", tally: Tally) -> bool:
        """Whether so much lies between it and *other*, of a block that *tally* counted, that it is no gap but a sweep."""
        gap = max(other.after - self.before, self.after - other.before)
        return self.known and other.known and gap > max(SWEEP, 16 * places.BLOCK // max(1, tally.comments))

    def with_next(self, other: "Span") -> "Span":
        """Both, of which *other* is the next in the page's order."""
        return Span(
            after=min(self.after, other.after),
            before=max(self.before, other.before),
            about=self.about + other.about,
            finest=True,
            slack=max(self.slack, other.slack),
            known=self.known and other.known,
            parts=self.parts + other.parts,
            sure=self.sure + other.sure,
        )


def stored(stream_id: str, row: Found) -> StoredItem:
    """The item in *row* as it reads today."""
    removed = verdict(row.comment_id, row.decided) if row.comment_id else None
    return StoredItem(
        stream_id=stream_id,
        seq=row.seq,
        at_ms=row.at_ms,
        payload=row.payload,
        removed=removed,
        msg_id=row.msg_id or None,
    )
