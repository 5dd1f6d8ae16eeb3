"""Rows of the store and messages of the log as one sequence: what is in both is there once."""

import bisect
import heapq
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from gateway.removals import Removals
from gateway.shown import Shown, show
from infra.jetstream.reader import LogMessage
from infra.stores import StoredItem

#: Above every seq.
END = 2**53


def merged(
    rows: Iterable[StoredItem], messages: Iterable[LogMessage], removals: Removals, *, stream_id: str, descending: bool = False
) -> Iterator[Shown]:
    """What is in either, each in the given order, as a viewer may see it by *removals*. Nothing is taken apart before its turn.

    Of what is in both the row is shown: it knows what was decided before the log's part begins.
    """
    # The row is the first of two with the same seq, in both orders.
    both: Iterator[tuple[int, int, StoredItem | LogMessage]] = heapq.merge(
        ((row.seq, 0, row) for row in rows),
        ((message.seq, 1, message) for message in messages),
        key=lambda each: (-each[0], each[1]) if descending else each[:2],
    )
    last = -1
    for seq, _, each in both:
        if seq == last:
            continue
        last = seq
        removed = each.removed if isinstance(each, StoredItem) else None
        shown = show(stream_id, each.payload, seq, each.at_ms, removals, removed)
        if shown is not None:
            yield shown


def of_log(stream_id: str, messages: Iterable[LogMessage], removals: Removals) -> Iterator[Shown]:
    """Messages as a viewer may see them by *removals*, without those that are no items."""
    for message in messages:
        shown = show(stream_id, message.payload, message.seq, message.at_ms, removals)
        if shown is not None:
            yield shown


def of_store(rows: Iterable[StoredItem], removals: Removals) -> Iterator[Shown]:
    """Rows, likewise."""
    for row in rows:
        shown = show(row.stream_id, row.payload, row.seq, row.at_ms, removals, row.removed)
        if shown is not None:
            yield shown


class _Author(Struct):
    id: str = ""


class Outline(Struct):
    """What a look at a payload tells, without its text: a tenth of the time of taking it apart."""

    type: str = ""
    comment_id: str = ""
    parent_comment_id: str | None = None
    user: _Author = msgspec.field(default_factory=_Author)

    @property
    def is_comment(self) -> bool:
        """Whether it is a comment."""
        return self.type == "comment"


_NOTHING = Outline()
_decoder = msgspec.json.Decoder(Outline)


def outline(payload: bytes) -> Outline:
    """The outline of a logged item; that of nothing for what is none."""
    try:
        return _decoder.decode(payload)
    except msgspec.MsgspecError:
        return _NOTHING


def find(stream_id: str, messages: Iterable[LogMessage], comment_id: str, removals: Removals) -> Shown | None:
    """One comment among *messages* by its id, as it may be seen by *removals*."""
    named = comment_id.encode()
    for message in messages:
        # First the bytes: a look into each of fifty thousand takes half a second.
        if named in message.payload and (looked := outline(message.payload)).is_comment and looked.comment_id == comment_id:
            return next(of_log(stream_id, [message], removals), None)
    return None


def between(messages: Sequence[LogMessage], after: int, before: int) -> Sequence[LogMessage]:
    """Those with `after < seq < before` of *messages* in ascending order."""
    first = bisect.bisect_right(messages, after, key=_seq)
    return messages[first : bisect.bisect_left(messages, before, lo=first, key=_seq)]


def _seq(message: LogMessage) -> int:
    return message.seq
