"""Store and log as one history: the store up to where the archive has everything, the log after it.

A comment that was just acknowledged is in it, archived or not. While the broker is away the store and what was read
before still answer.
"""

import contextlib
import itertools
from collections.abc import Collection, Iterable
from functools import partial

from gateway.commentpage import CommentPage
from gateway.gathered import Gathered
from gateway.latekeys import LateKeys
from gateway.logends import LogEnds
from gateway.merged import END, between, find, merged, of_log, of_store, outline
from gateway.originals import Originals
from gateway.patience import Patience
from gateway.ranges import Missing, Ranges
from gateway.removals import Removals
from gateway.shown import Shown
from gateway.totals import Totals
from gateway.unarchived import FarBehind, Unarchived, learn
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.reader import LogState, Reader
from infra.stores import CommentStore
from schemas import subjects
from schemas.items import Comment
from schemas.records import StreamRecord

#: Items that are looked at for a backfill, whose newest may all be placeholders after a raid: 80 kB of them, compressed.
LOOKED_AT = 6000
#: Seconds that an answer waits for the store where it needs it, and a page's total, which may be told as inexact. A node of a
#: cluster has 3 s for a question.
STORE_S = 5.0
TOTAL_S = 2.0


class History:
    """Answers for one gateway; every answer has removed comments replaced.

    The log is read first and the store last: what leaves the log in between has come to the store before, and what is in both
    counts once. So it does not matter where the log begins, how far the archive has come, or whether either moves meanwhile.
    Who catches up is given what the log has, and of the store only what the log has no longer.
    """

    def __init__(self, store: CommentStore, reader: Reader, clock: Clock, store_s: float = STORE_S) -> None:
        """*store_s*: how long an answer waits for the store."""
        self._store = store
        self._reader = reader
        self._clock = clock
        self._patience = Patience(clock)
        self._ask = partial(self._patience.wait, seconds=store_s)
        self._ends = LogEnds(reader, clock)
        self._unarchived = Unarchived(store, reader, self._ends, clock)
        self._totals = Totals(store, self._unarchived, clock)
        self._originals = Originals(store, reader, self._unarchived, self._patience, store_s)
        self._keys = Gathered(self.stored_seqs)
        self._late_keys = LateKeys(reader, clock, self._unarchived)
        self._ranges = Ranges(store, reader, clock, self._ends, self._unarchived, self._ask)

    async def comments(
        self,
        record: StreamRecord,
        *,
        after: int,
        before: int | None,
        descending: bool,
        limit: int,
        offset: int = 0,
        from_ms: int | None = None,
        to_ms: int | None = None,
    ) -> list[Shown]:
        """A page of comments with `after < seq < before`; placeholders stand in for removed ones.

        One that the log has whole asks nobody else.

        Raises:
            Unavailable: the store does not answer within `STORE_S`.
        """
        asked = CommentPage(
            record=record, after=after, before=before, descending=descending, limit=limit, offset=offset,
            from_ms=from_ms, to_ms=to_ms, recent=await self._unarchived.read(record),
        )  # fmt: skip
        logged = asked.logged()
        return logged if logged is not None else await self._ask(asked.read(self._store))

    async def replies(self, record: StreamRecord, parent_comment_id: str, after: int, limit: int) -> list[Shown]:
        """Replies to a comment with `seq > after`, oldest first.

        Raises:
            Unavailable: the store does not answer.
        """
        recent = await self._unarchived.read(record)
        named = parent_comment_id.encode()
        messages = [
            message
            for message in between(recent.messages, after, END)
            # First the bytes: a look into each of fifty thousand takes half a second.
            if named in message.payload
            and (looked := outline(message.payload)).is_comment
            and looked.parent_comment_id == parent_comment_id
        ]
        stored = await self._ask(self._store.replies(record.stream_id, parent_comment_id, after, limit))
        rows = [row for row in stored if row.seq <= recent.bound]
        return list(itertools.islice(merged(rows, messages, recent.removals, stream_id=record.stream_id), limit))

    async def comment(self, record: StreamRecord, comment_id: str) -> Shown | None:
        """One comment by its id, wherever it is; `None` where there is none for certain.

        Raises:
            Unavailable: store or log does not answer, and the other does not have it.
        """
        recent = await self._unarchived.read(record)
        found = find(record.stream_id, recent.messages, comment_id, recent.removals)
        if found is not None:
            return found
        row = await self._ask(self._store.comment(record.stream_id, comment_id))
        if row is not None:
            return next(of_store([row], recent.removals), None)
        if not recent.complete:
            msg = "the broker is away: whether there is such a comment nobody can tell"
            raise Unavailable(msg)
        return None

    async def by_msg_id_seq(self, record: StreamRecord, msg_id: str) -> int | None:
        """Where the comment posted with an idempotency key is, if that is longer ago than the log itself remembers keys.

        Raises:
            Unavailable: the store does not answer.
        """
        seq = await self._keys.ask((record.stream_id, msg_id))
        return seq if seq is not None else await self._late_keys.find(record, msg_id)

    async def stored_seqs(self, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Where the store has what was posted in streams under Msg-Ids; those it does not have are not in it.

        Raises:
            Unavailable: the store does not answer within `STORE_S`.
        """
        found = await self._ask(self._store.by_msg_ids(asked))
        return {each: item.seq for each, item in found.items()}

    async def original(self, record: StreamRecord, seq: int) -> tuple[Comment, int, bool] | None:
        """The comment at *seq* as it was posted, when the log took it, and whether it is removed now.

        For telling a retry from another comment and answering its author; never for showing.

        Raises:
            Unavailable: neither log nor store can tell.
        """
        return await self._originals.at(record, seq)

    async def total(self, record: StreamRecord) -> tuple[int, bool]:
        """Comments that are not removed, and whether that is exact: `gateway.totals`.

        Raises:
            Unavailable: the store does not answer.
        """
        return await self._totals.of(record)

    async def total_soon(self, record: StreamRecord) -> tuple[int, bool]:
        """The same for a page, which does not wait for a store that is silent: the last one that is known then, as inexact."""
        if not self._patience.silent:
            with contextlib.suppress(Unavailable):
                return await self._patience.wait(self._totals.of(record), TOTAL_S)
        return self._totals.last(record), False

    async def tail(self, record: StreamRecord) -> int:
        """The stream's last seq; 0 when nothing was ever said.

        Raises:
            Unavailable: the store does not answer.
        """
        try:
            recent = await self._unarchived.read(record)
        except FarBehind:
            last = await self._reader.last(subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id))
        else:
            last = recent.messages[-1] if recent.messages else None
        return last.seq if last is not None else await self._ask(self._store.tail(record.stream_id))

    async def removals(self, record: StreamRecord) -> Removals:
        """What is decided on the stream's comments and not archived yet; whoever asks learns what is decided from now on.

        All that was decided before is in the store's rows, as they are read; a long stream has tens of thousands of it.

        Raises:
            Unavailable: the store does not answer.
        """
        recent = await self._unarchived.read(record)
        removals = Removals(recent.through)
        learn(removals, recent.messages)
        return removals

    async def state(self, record: StreamRecord) -> LogState:
        """The ends of the stream's log, at most a second old.

        Raises:
            Unavailable: the broker is away.
        """
        return await self._ends.lately(subjects.live_log(record.shard))

    async def fresh_state(self, record: StreamRecord) -> LogState:
        """The ends of the stream's log, now.

        Raises:
            Unavailable: the broker is away.
        """
        return await self._ends.now(subjects.live_log(record.shard))

    async def range(
        self, record: StreamRecord, after: int, until: int, limit: int, removals: Removals
    ) -> tuple[list[Shown], Missing | None]:
        """Items with `after < seq <= until`, and what of that range is lost: `gateway.ranges`.

        Raises:
            Unavailable: neither log nor store can tell.
        """
        return await self._ranges.read(record, after, until, limit, removals)

    async def newest(self, record: StreamRecord, until: int, limit: int, removals: Removals) -> tuple[list[Shown], int]:
        """The newest *limit* visible items up to *until*, ascending, and the seq of the item before them (0: none).

        Placeholders between them are included and not counted; with `LOOKED_AT` items in all it ends. While the archive is far
        behind there are none: who comes then begins with what comes next.

        Raises:
            Unavailable: as `range`.
        """
        try:
            recent = await self._unarchived.read(record)
        except FarBehind:
            return [], until
        messages = between(recent.messages, -1, until + 1)[::-1]
        # Who comes while the store is slow waits for nothing: then enough is not archived yet.
        told = _newest(of_log(record.stream_id, messages, removals), limit)
        if told is not None and recent.complete and recent.begins <= told[1]:
            return told
        # Twice as many: room for a few placeholders. A raid that was purged leaves thousands in a row.
        want = 2 * limit + 1
        while True:
            rows = await self._ask(self._store.newest(record.stream_id, until + 1, want))
            both = merged(rows, messages, removals, stream_id=record.stream_id, descending=True)
            found = list(itertools.islice(both, want))
            if told := _newest(found, limit):
                return told
            if len(found) < want:
                return found[::-1], 0
            want = min(4 * want, LOOKED_AT + 1)


def _newest(descending: Iterable[Shown], limit: int) -> tuple[list[Shown], int] | None:
    """The newest *limit* visible ones, ascending, and the seq of the next; `None` where there is no next one."""
    chosen: list[Shown] = []
    visible = 0
    for shown in descending:
        if visible == limit or len(chosen) == LOOKED_AT:
            return chosen[::-1], shown.seq
        chosen.append(shown)
        visible += shown.kind != "removed"
    return None
