"""A part of a stream's history in its own order: out of the log where that has it whole, else out of store and log.

So a storm of viewers who come back asks no store for what was said a minute ago, and a store that is away sends nobody away.
"""

from collections.abc import Awaitable
from typing import Protocol, TypeVar

from msgspec import Struct

from gateway.decided import Decided
from gateway.kept import Kept
from gateway.logends import LogEnds
from gateway.merged import of_log, of_store
from gateway.removals import Removals
from gateway.shown import Shown
from gateway.unarchived import Unarchived
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.reader import LogState, Reader
from infra.stores import CommentStore
from infra.telemetry import metrics
from schemas import subjects
from schemas.records import StreamRecord

T = TypeVar("T")

#: How often a range is read again since its beginning went out of the log meanwhile.
TRIES = 5
#: For how long rows above the store's mark are waited for, where the log has forgotten what is between. After a restart the
#: mark stands still for seconds while the archive stores on: that is not lost. What an archive left behind that is gone is.
STANDS_S = 30.0
#: Logs whose mark is watched: as many as there may be.
LOGS = 256
#: Messages that are read for what was decided before an audience began, so that what follows needs no store; further back a
#: store that answers has it sooner. While it does not answer, ten times as many: 5 s at 40,000 a second, once for an audience.
NEAR, FAR = 20_000, 200_000
#: How much younger than its log a stream is that has nothing in an earlier life of the log, whatever clocks say.
YOUNGER_MS = 60_000


class Missing(Struct, frozen=True):
    """Positions nobody can deliver any more, both ends inclusive."""

    from_: int
    to: int
    reason: str


class Ask(Protocol):
    """Waits for the store, and not for ever."""

    async def __call__(self, asking: Awaitable[T]) -> T:
        """What it answers.

        Raises:
            Unavailable: it does not.
        """


class Ranges:
    """Of one gateway."""

    def __init__(
        self, store: CommentStore, reader: Reader, clock: Clock, ends: LogEnds, unarchived: Unarchived, ask: Ask
    ) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._ends = ends
        self._unarchived = unarchived
        self._ask = ask
        self._decided = Decided(reader)
        #: Where the mark stood when something above it was missed, and since when.
        self._stands: Kept[tuple[int, float]] = Kept(LOGS)

    async def read(
        self, record: StreamRecord, after: int, until: int, limit: int, removals: Removals
    ) -> tuple[list[Shown], Missing | None]:
        """Items with `after < seq <= until`, ascending, at most *limit*, and what of that range is lost.

        *removals* is what is decided after its `since`, as of now: decisions lie after the comments they concern. It is taught
        what was decided before, as far as that is needed. *until* is a seq known to have existed: a replica that lags behind it
        is asked again. When fewer than *limit* come back, there is nothing else up to *until*. The lost part, if any, lies
        between what the store has without a hole and what the log has still; items of the store come before it, those of the
        log follow it.

        What the log has whole asks nothing of the store.

        Raises:
            Unavailable: the log has not got it whole, and the store does not answer, or the broker is away and the store does
                not reach *until*; or what is lost is not known yet, since the archive has come further than it is known to have
                everything.
        """
        found = await self._logged(record, after, until, limit, removals, NEAR)
        if found is not None:
            return found, None
        try:
            return await self._stored(record, after, until, limit, removals)
        except Unavailable:
            found = await self._logged(record, after, until, limit, removals, FAR)
            if found is None:
                raise
            return found, None

    async def _logged(
        self, record: StreamRecord, after: int, until: int, limit: int, removals: Removals, most: int
    ) -> list[Shown] | None:
        """The range out of the log alone; `None` where that has not got it whole, is away, or needs more than *most* read."""
        log, subject = subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id)
        try:
            # What it had not got a second ago it has not got now.
            if not _has_from(await self._ends.lately(log), record, after):
                return None
            if not await self._decided.reach(record, after, removals, most):
                return None
            messages = await self._reader.range(log, subject, after, until, limit)
            # As it is after it was read: what it had then it had before. What it lost at its end the store may have.
            state = await self._ends.now(log)
        except Unavailable:
            return None
        if until > state.last or not _has_from(state, record, after):
            return None
        metrics.RANGES.labels("log").inc()
        return list(of_log(record.stream_id, messages, removals))

    async def _stored(
        self, record: StreamRecord, after: int, until: int, limit: int, removals: Removals
    ) -> tuple[list[Shown], Missing | None]:
        """The range as store and log have it, up to the mark of the store.

        Raises:
            Unavailable: as `read`.
        """
        log, subject = subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id)
        through = await self._unarchived.through(log)
        for _ in range(TRIES):
            found: list[Shown] = []
            if after < through:
                metrics.RANGES.labels("store").inc()
                rows = await self._ask(self._store.range(record.stream_id, after, min(until, through), limit))
                found += of_store(rows, removals)
                if len(rows) >= limit or until <= through:
                    return found, None
            start = max(after, through)
            messages = await self._reader.range(log, subject, start, until, limit - len(found))
            # As it is after it was read: what it had then it had before.
            state = await self._ends.now(log)
            lost_from = max(start, state.incarnation - 1) + 1
            lost_to = min(state.first - 1, until)
            if lost_from > lost_to:
                return found + list(of_log(record.stream_id, messages, removals)), None
            cut = messages and messages[0].seq < state.first
            # Only the store itself can tell that it has not got it either.
            before, through = through, await self._ask(self._store.archived_through(log))
            if not cut and through == before:
                await self._stored_on(record, start, lost_to, through)
                return found + list(of_log(record.stream_id, messages, removals)), Missing(lost_from, lost_to, "expired")
            # The log gave something up meanwhile: what the archive took of it before is in the store now.
        msg = f"{log} loses its beginning faster than it is read"
        raise Unavailable(msg)

    async def _stored_on(self, record: StreamRecord, after: int, until: int, through: int) -> None:
        """See that the store has nothing of what the log has lost above the mark, or that the mark stands still for long.

        Raises:
            Unavailable: it has some, and whether it has all of it will be known when the mark moves.
        """
        if not await self._ask(self._store.range(record.stream_id, after, until, 1)):
            return
        log, now = subjects.live_log(record.shard), self._clock.monotonic()
        stood, since = self._stands.get(log) or (through, now)
        since = since if stood == through else now
        self._stands.put(log, (through, since), 1)
        if now - since < STANDS_S:
            msg = f"the archive has stored more of {log} than it is known to have whole: what is lost is known when it is"
            raise Unavailable(msg)


def _has_from(state: LogState, record: StreamRecord, after: int) -> bool:
    """Whether a log has given up nothing of a stream after *after*, in this life or an earlier one."""
    if state.first > state.incarnation:
        return state.first <= after + 1
    born_ms = (state.incarnation >> 20) * 1000
    return after + 1 >= state.first or record.created_at > born_ms + YOUNGER_MS
