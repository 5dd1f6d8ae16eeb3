"""How many comments a stream has: the store's count up to where it has everything, and after that one by one.

What was counted of the log is kept: while the store is away, or the archive behind, tens of thousands of messages wait, and
looking at all of them for each page would hold the event loop for a quarter of a second. As the archive comes on, what was
counted one by one is added to the store's count, which need not be asked again: of a stream of 1,000 comments/s, ten pages a
second had the store read 5,000 rows a second for their totals, and three nodes do little else.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from gateway.kept import Kept
from gateway.merged import END, between, outline
from gateway.unarchived import FarBehind, Recent, Unarchived
from infra.clock import Clock
from infra.stores import CommentStore, StoredItem
from schemas.records import StreamRecord

#: Comments that are looked up since something not archived yet was decided on them; with more of them it is not exact.
LOOKED_UP = 500
#: How often a count is taken again since the archive wrote meanwhile.
TRIES = 5
#: Comments that are remembered as counted, of all streams together; some 100 bytes each.
COUNTED = 200_000
#: Streams whose last total is remembered.
STREAMS = 100_000
#: For how long nobody asks the store again what it counts: what it loses by age or by erasure no log tells.
CARRIED_S = 30.0
_DECISIONS = frozenset({"removed", "restored", "purged"})


class Below(Struct, frozen=True):
    """The comments up to where a count begins that are shown; the store said so, of some of them, at *asked_at*."""

    shown: int
    asked_at: float


class Counted(Struct):
    """What was counted above *through* up to the seq *last*: each comment's id by its seq, and whether it is shown."""

    through: int
    losses: int = 0
    last: int = 0
    comments: OrderedDict[int, tuple[str, bool]] = msgspec.field(default_factory=OrderedDict)
    comment_ids: set[str] = msgspec.field(default_factory=set)
    shown: int = 0
    #: Up to *through*, as long as that is known without the store.
    below: Below | None = None

    def add(self, seq: int, comment_id: str, *, shown: bool) -> None:
        """Count one."""
        self.comments[seq] = comment_id, shown
        self.comment_ids.add(comment_id)
        self.shown += shown

    def begin_at(self, through: int) -> None:
        """Leave what is archived by now to what is below."""
        passed = 0
        while self.comments and next(iter(self.comments)) <= through:
            _, (comment_id, shown) = self.comments.popitem(last=False)
            self.comment_ids.discard(comment_id)
            passed += shown
        self.shown -= passed
        if self.below is not None:
            # What came after the last that was counted, and is archived, nobody has counted here.
            self.below = Below(self.below.shown + passed, self.below.asked_at) if through <= self.last else None
        self.through = through


class Totals:
    """Counts for one gateway."""

    def __init__(self, store: CommentStore, unarchived: Unarchived, clock: Clock) -> None:
        self._store = store
        self._unarchived = unarchived
        self._clock = clock
        self._counted: Kept[Counted] = Kept(COUNTED)
        #: What was answered last.
        self._last: Kept[int] = Kept(STREAMS)

    def last(self, record: StreamRecord) -> int:
        """What is known of it without asking anybody: the last answer, or the comments that were counted in the log."""
        counted = self._counted.get(record.stream_id)
        return self._last.get(record.stream_id) or (counted.shown if counted is not None else 0)

    async def of(self, record: StreamRecord) -> tuple[int, bool]:
        """Comments that are not removed, and whether that is exact.

        It is not while the broker is away or the archive far behind, nor for the moment in which a purge is not archived yet.
        What was erased, of which no log tells, is counted for `CARRIED_S` at most.

        Raises:
            Unavailable: the store does not answer.
        """
        try:
            recent = await self._unarchived.read(record)
        except FarBehind:
            return await self._store.total(record.stream_id), False
        whole, most, rows = recent.whole, 0, []
        if not whole:
            # The log has given up some above the mark, which after a restart stands still for seconds while the archive
            # stores on: any number of these are rows already.
            most = len(recent.messages) + LOOKED_UP
            rows = await self._store.comments(
                record.stream_id, after=recent.through, before=min(END, recent.bound + 1), descending=False, limit=most
            )
        counted = self._of_log(record, recent)
        if any(row.seq not in counted.comments for row in rows):
            counted = self._with_rows(recent, rows)
        # Before anybody else counts on.
        shown, below = counted.shown, counted.below
        if below is None or not whole:
            asked_at = self._clock.monotonic()
            count, exact, settled = await self._below(record, recent, counted.comment_ids)
            below = Below(count, asked_at)
            if exact and settled and whole and counted.through == recent.through:
                counted.below = below
        else:
            exact = True
        self._last.put(record.stream_id, below.shown + shown, 1)
        return below.shown + shown, exact and recent.complete and (whole or len(rows) < most)

    @staticmethod
    def _with_rows(recent: Recent, rows: Sequence[StoredItem]) -> Counted:
        """Where the store has some above `through` that the log has given up: the rows say how these stand."""
        counted = Counted(recent.through)
        stored = {row.seq for row in rows}
        unstored = [(message.seq, message.payload, None) for message in recent.messages if message.seq not in stored]
        for seq, payload, removed in [*((row.seq, row.payload, row.removed) for row in rows), *unstored]:
            looked = outline(payload)
            if looked.is_comment:
                standing = recent.removals.standing(looked.comment_id, looked.user.id, seq, removed)
                counted.add(seq, looked.comment_id, shown=standing is None)
        return counted

    def _of_log(self, record: StreamRecord, recent: Recent) -> Counted:
        """Count on from the last time; anew where something was decided since, for that may concern any of them."""
        counted = self._counted.get(record.stream_id)
        if counted is not None and counted.losses != recent.losses:
            # Of messages that the log has lost; and what it gave their seqs to came after them.
            counted = None
        keep = counted is None or counted.through <= recent.through
        if counted is not None and not keep and counted.below is not None:
            # Somebody who asked later was answered sooner.
            return counted
        if counted is None or not keep:
            counted = Counted(recent.through, recent.losses)
        below = counted.below
        # What the log has given up before the archive took it is nowhere.
        if below is not None and (recent.begins > counted.through + 1 or self._clock.monotonic() - below.asked_at > CARRIED_S):
            counted.below = None
        counted.begin_at(recent.through)
        fresh = [(message.seq, outline(message.payload)) for message in between(recent.messages, counted.last, END)]
        if counted.last and any(looked.type in _DECISIONS for _, looked in fresh):
            counted = Counted(recent.through, recent.losses)
            fresh = [(message.seq, outline(message.payload)) for message in recent.messages]
        for seq, looked in fresh:
            if looked.is_comment:
                standing = recent.removals.standing(looked.comment_id, looked.user.id, seq, None)
                counted.add(seq, looked.comment_id, shown=standing is None)
        counted.last = max(counted.last, recent.last)
        if keep:
            self._counted.put(record.stream_id, counted, 1 + len(counted.comment_ids))
        return counted

    async def _below(self, record: StreamRecord, recent: Recent, above: set[str]) -> tuple[int, bool, bool]:
        """The comments up to `through` that are shown by what is decided now, whether that is exact, and whether for good.

        Not for good is what the archive is writing meanwhile: a row that shows a decision above `through` already may be
        counted with it or without.
        """
        decided = [comment_id for comment_id in recent.removals.comment_ids if comment_id not in above]
        exact = len(decided) <= LOOKED_UP and not recent.removals.any_purged
        count = await self._store.total(record.stream_id, recent.through)
        if not decided:
            return count, exact, True
        settled = True
        for _ in range(TRIES):
            asked = (self._store.comment(record.stream_id, comment_id) for comment_id in decided[:LOOKED_UP])
            rows = [row for row in await asyncio.gather(*asked) if row is not None and row.seq <= recent.through]
            before, count = count, await self._store.total(record.stream_id, recent.through)
            if before == count:
                break
            # Some of it was archived between the two questions: it may be in one of the answers and not in the other.
        else:
            exact = False
        for row in rows:
            looked = outline(row.payload)
            now = recent.removals.standing(looked.comment_id, looked.user.id, row.seq, row.removed)
            count += (now is None) - (row.removed is None)
            settled &= (now is None) != (row.removed is None)
        return count, exact, settled
