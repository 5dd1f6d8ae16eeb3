"""Store and log as one history: the store up to where the archive has everything, the log after it.

A comment that was just acknowledged is in it, archived or not. While the broker is away the store and what was read
before still answer.
"""

from collections.abc import Iterable

from msgspec import Struct

from gateway.latekeys import LateKeys
from gateway.removals import Removals
from gateway.shown import Shown, show
from gateway.unarchived import FarBehind, Unarchived, item_of, learn
from infra.clock import Clock
from infra.jetstream.reader import LogMessage, LogState, Reader
from infra.stores import CommentStore, StoredItem
from schemas import codec, subjects
from schemas.items import Comment, Removed
from schemas.records import StreamRecord

#: Longer than a page's worth of work, shorter than anyone notices an expired message.
STATE_S = 1.0


class Missing(Struct, frozen=True):
    """Positions nobody can deliver any more, both ends inclusive."""

    from_: int
    to: int
    reason: str


class History:
    """Answers for one gateway; every answer has removed comments replaced."""

    def __init__(self, store: CommentStore, reader: Reader, clock: Clock) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._unarchived = Unarchived(store, reader, clock)
        self._states: dict[str, tuple[float, LogState]] = {}
        self._late_keys = LateKeys(store, reader, clock, self._unarchived)

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

        Raises:
            Unavailable: the store does not answer.
        """
        top = before if before is not None else 2**53
        recent = await self._unarchived.read(record)

        def wanted(shown: Shown) -> bool:
            return (
                shown.comment_id is not None
                and after < shown.seq < top
                and (from_ms is None or shown.at_ms >= from_ms)
                and (to_ms is None or shown.at_ms < to_ms)
            )

        unarchived = [shown for shown in self._show(record, recent.messages, recent.removals) if wanted(shown)]
        archived_before = min(top, recent.through + 1)
        if descending:
            unarchived.reverse()
            rest, offset = _skip(unarchived, offset)
            if len(rest) < limit:
                rows = await self._store.comments(
                    record.stream_id, after=after, before=archived_before, descending=True,
                    limit=limit - len(rest), offset=offset, from_ms=from_ms, to_ms=to_ms,
                )  # fmt: skip
                rest += self._show_rows(rows, recent.removals)
            return rest[:limit]
        rows = await self._store.comments(
            record.stream_id, after=after, before=archived_before, descending=False,
            limit=limit + offset, from_ms=from_ms, to_ms=to_ms,
        )  # fmt: skip
        return (list(self._show_rows(rows, recent.removals)) + unarchived)[offset : offset + limit]

    async def replies(self, record: StreamRecord, parent_comment_id: str, after: int, limit: int) -> list[Shown]:
        """Replies to a comment with `seq > after`, oldest first.

        Raises:
            Unavailable: the store does not answer.
        """
        recent = await self._unarchived.read(record)
        rows = await self._store.replies(record.stream_id, parent_comment_id, after, limit)
        found = list(self._show_rows((row for row in rows if row.seq <= recent.through), recent.removals))
        for message in recent.messages:
            item = item_of(message)
            if message.seq > after and isinstance(item, Comment) and item.parent_comment_id == parent_comment_id:
                found += self._show(record, [message], recent.removals)
        return found[:limit]

    async def comment(self, record: StreamRecord, comment_id: str) -> Shown | None:
        """One comment by its id, wherever it is.

        Raises:
            Unavailable: the store does not answer.
        """
        recent = await self._unarchived.read(record)
        for shown in self._show(record, recent.messages, recent.removals):
            if shown.comment_id == comment_id:
                return shown
        row = await self._store.comment(record.stream_id, comment_id)
        return next(iter(self._show_rows([row] if row else [], recent.removals)), None)

    async def by_msg_id_seq(self, record: StreamRecord, msg_id: str) -> int | None:
        """Where the comment posted with an idempotency key is, if that is longer ago than the log itself remembers keys.

        Raises:
            Unavailable: the store does not answer.
        """
        row = await self._store.by_msg_id(record.stream_id, msg_id)
        return row.seq if row is not None else await self._late_keys.find(record, msg_id)

    async def original(self, record: StreamRecord, seq: int) -> tuple[Comment, int, bool] | None:
        """The comment at *seq* as it was posted, when the log took it, and whether it is removed now.

        For telling a retry from another comment and answering its author; never for showing.

        Raises:
            Unavailable: neither log nor store answers.
        """
        rows = await self._store.range(record.stream_id, seq - 1, seq, 1)
        if rows:
            payload, at_ms, removed = rows[0].payload, rows[0].at_ms, rows[0].removed is not None
        else:
            message = await self._reader.at(subjects.live_log(record.shard), seq)
            if message is None:
                return None
            payload, at_ms = message.payload, message.at_ms
            removed = (await self._unarchived.read(record)).hides(payload, seq)
        item = codec.decode_item(payload)
        return (item, at_ms, removed) if isinstance(item, Comment) else None

    async def total(self, record: StreamRecord) -> tuple[int, bool]:
        """Comments that are not removed, and whether that is exact: not while the broker is away, or the archive far behind.

        Raises:
            Unavailable: the store does not answer.
        """
        try:
            recent = await self._unarchived.read(record)
        except FarBehind:
            return await self._store.total(record.stream_id), False
        total = await self._store.total(record.stream_id)
        # After a restart the archive's mark stands still for seconds while it stores on: any number of these are rows already.
        rows = await self._store.range(record.stream_id, recent.through, recent.last, len(recent.messages) + 1)
        stored = {row.seq for row in rows}
        hidden = 0
        for message in recent.messages:
            for shown in self._show(record, [message], recent.removals):
                if shown.comment is not None and shown.seq not in stored:
                    total += 1
            item = item_of(message)
            if isinstance(item, Removed) and message.seq not in stored:
                row = await self._store.comment(record.stream_id, item.comment_id)
                hidden += row is not None and row.removed is None
        return total - hidden, recent.complete

    async def tail(self, record: StreamRecord) -> int:
        """The stream's last seq; 0 when nothing was ever said.

        Raises:
            Unavailable: the store does not answer.
        """
        try:
            recent = await self._unarchived.read(record)
        except FarBehind:
            last = await self._reader.last(subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id))
            return last.seq if last is not None else await self._store.tail(record.stream_id)
        return recent.last if recent.messages else await self._store.tail(record.stream_id)

    async def removals(self, record: StreamRecord) -> Removals:
        """Everything decided on the stream's comments so far.

        Raises:
            Unavailable: the store does not answer.
        """
        recent = await self._unarchived.read(record)
        removals = Removals(await self._store.removed(record.stream_id), recent.through)
        learn(removals, recent.messages)
        return removals

    async def state(self, record: StreamRecord) -> LogState:
        """The ends of the stream's log, at most a second old.

        Raises:
            Unavailable: the broker is away.
        """
        kept = self._states.get(subjects.live_log(record.shard))
        if kept is not None and self._clock.monotonic() - kept[0] <= STATE_S:
            return kept[1]
        return await self.fresh_state(record)

    async def fresh_state(self, record: StreamRecord) -> LogState:
        """The ends of the stream's log, now.

        Raises:
            Unavailable: the broker is away.
        """
        log = subjects.live_log(record.shard)
        state = await self._reader.state(log)
        self._states[log] = (self._clock.monotonic(), state)
        return state

    async def range(
        self, record: StreamRecord, after: int, until: int, limit: int, removals: Removals
    ) -> tuple[list[Shown], Missing | None]:
        """Items with `after < seq <= until`, ascending, at most *limit*, and what of that range is lost.

        *removals* is the stream's removed set, as of now: decisions lie after the comments they concern.
        *until* is a seq known to have existed: a replica that lags behind it is asked again. When fewer than *limit* come
        back, there is nothing else up to *until*. The lost part, if any, is at the range's start; the items follow it.

        Raises:
            Unavailable: the store does not answer, or the broker is away and the store does not reach *until*.
        """
        log, subject = subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id)
        through = await self._store.archived_through(log)
        found: list[Shown] = []
        if after < through:
            rows = await self._store.range(record.stream_id, after, min(until, through), limit)
            found += self._show_rows(rows, removals)
            if len(rows) >= limit or until <= through:
                return found, None
        missing = await self._missing(record, after, until, through)
        start = max(after, through, missing.to if missing else 0)
        messages = await self._reader.range(log, subject, start, until, limit - len(found))
        return found + list(self._show(record, messages, removals)), missing

    async def newest(self, record: StreamRecord, until: int, limit: int, removals: Removals) -> tuple[list[Shown], int]:
        """The newest *limit* visible items up to *until*, ascending, and the seq of the item before them (0: none).

        Placeholders between them are included and not counted. While the archive is far behind there are none: who comes
        then begins with what comes next.

        Raises:
            Unavailable: as `range`.
        """
        try:
            recent = await self._unarchived.read(record)
        except FarBehind:
            return [], until
        found = [shown for shown in self._show(record, recent.messages, removals) if shown.seq <= until]
        found.reverse()
        before = min(found[-1].seq if found else until + 1, recent.through + 1)
        # Twice as many: room for placeholders, which a raid leaves in rows.
        want = 2 * limit + 1
        if len(found) < want:
            rows = await self._store.newest(record.stream_id, before, want - len(found))
            found += self._show_rows(rows, removals)
        taken, visible = 0, 0
        for shown in found:
            if visible == limit:
                break
            taken += 1
            visible += shown.kind != "removed"
        chosen = found[:taken]
        previous = found[taken].seq if taken < len(found) else 0
        return chosen[::-1], previous

    async def _missing(self, record: StreamRecord, after: int, until: int, through: int) -> Missing | None:
        state = await self.state(record)
        lost_from = max(after, through, state.incarnation - 1) + 1
        lost_to = min(state.first - 1, until)
        return Missing(lost_from, lost_to, "expired") if lost_from <= lost_to else None

    def _show(self, record: StreamRecord, messages: Iterable[LogMessage], removals: Removals) -> Iterable[Shown]:
        for message in messages:
            shown = show(record.stream_id, message.payload, message.seq, message.at_ms, removals)
            if shown is not None:
                yield shown

    def _show_rows(self, rows: Iterable[StoredItem], removals: Removals) -> Iterable[Shown]:
        for row in rows:
            shown = show(row.stream_id, row.payload, row.seq, row.at_ms, removals, row.removed)
            if shown is not None:
                yield shown


def _skip(found: list[Shown], offset: int) -> tuple[list[Shown], int]:
    return found[offset:], max(0, offset - len(found))
