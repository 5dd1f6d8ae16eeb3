"""A live log's items into the store: one transaction a batch, which also says how far the log is archived."""

from collections.abc import Sequence

from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.pull import Delivery, Pull
from infra.jetstream.reader import LogMessage, LogState, Reader
from infra.stores import CommentStore, LoggedItem
from infra.telemetry import logs, metrics
from schemas import subjects
from workers.archive.pace import Pace
from workers.archive.refill import logged_item, refill
from workers.archive.watermark import Watermark
from workers.handler import Done, Outcome, Reject

log = logs.get(__name__)

#: Seconds between two questions for the consumer's state while the watermark waits for its answer.
ASK_S = 0.25
REFILL_BATCH = 1000
#: Seconds since the last commit, or any failure of one, after which the store is asked whether it still has what it had. No
#: database dies and starts in less without failing a write of an archive that is busy (4 s are the least that was measured).
SURE_S = 2.0
LOST = "the log forgot these before they were archived: docs/operating.md, When the store is away"


class LiveArchive:
    """The handler of one live log's `archive` consumer."""

    def __init__(self, pull: Pull, store: CommentStore, reader: Reader, clock: Clock, shard: int, pace: Pace) -> None:
        self._pull = pull
        self._store = store
        self._reader = reader
        self._clock = clock
        self._pace = pace
        self._shard = shard
        self._log = subjects.live_log(shard)
        self._watermark = Watermark(0)
        self._written = 0
        #: The highest mark that the store is known to have had, and when that was last known to hold.
        self._seen, self._sure = 0, float("-inf")
        #: Whether it is known to lack something of that, and up to where the log's losses were told.
        self._lacking, self._lost = False, 0
        self._opened = False
        self._asked = float("-inf")

    def fetched(self, batch: Sequence[Delivery]) -> None:
        """Account for what came."""
        self._watermark.take(batch)

    async def handle(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """Commit all items of *batch* that can be read, and the watermark that then holds; reject the others.

        Raises:
            Unavailable: the store cannot take them now; nothing was written.
        """
        outcomes: list[Outcome] = []
        items: list[LoggedItem] = []
        for delivery in batch:
            message = LogMessage(delivery.subject, delivery.seq, delivery.at_ms, delivery.payload, delivery.headers)
            try:
                items.append(logged_item(self._log, message))
                outcomes.append(Done())
            except ValueError as error:
                outcomes.append(Reject(f"no item of a live log: {error}"))
        seqs = [item.seq for item in items]
        await self._write(items, self._watermark.through(seqs))
        self._watermark.finish(seqs)
        return outcomes

    def rejected(self, delivery: Delivery) -> None:
        """A dead-lettered message holds the watermark no longer."""
        self._watermark.finish([delivery.seq])

    async def tend(self) -> None:
        """Find the place to start from; afterwards move the watermark where no batch does.

        Raises:
            Unavailable: the store, the consumer or the log.
        """
        if not self._opened:
            await self._open()
        now = self._clock.monotonic()
        if self._watermark.curious and now - self._asked >= ASK_S:
            self._asked = now
            self._watermark.learn(await self._pull.state())
        if (through := self._watermark.through()) > self._written:
            await self._write([], through)

    async def _open(self) -> None:
        mark, consumer = await self._store.archived_through(self._log), await self._pull.state()
        state, committed = await self._reader.state(self._log), consumer.ack_floor
        # Of what was delivered above the floor all is in somebody's hands, or some was acknowledged out of order: while one
        # archive held what was below, the others went on. A store that was restored may lack these as well.
        beyond = consumer.delivered - max(committed, state.first - 1) > consumer.unacknowledged
        await self._refill(mark, committed, consumer.delivered if beyond else committed, state)
        self._watermark = Watermark(max(mark, committed))
        self._written = mark
        self._seen, self._sure = mark, self._clock.monotonic()
        self._opened = True

    async def _compare(self) -> None:
        """Fill the store again where it has less than it had: it lost its last seconds, or was put back.

        Its mark tells. What was acknowledged above a mark that stood still is looked for at the next start alone.
        """
        mark, state = await self._store.archived_through(self._log), await self._reader.state(self._log)
        if mark < self._seen or self._lacking:
            # Until all is there, also where a part of it has brought the mark to where it was.
            self._lacking = True
            consumer = await self._pull.state()
            await self._refill(mark, consumer.ack_floor, consumer.delivered, state)
            self._lacking = False
        else:
            self._say_lost(mark, state)
        self._seen, self._sure = max(mark, self._seen), self._clock.monotonic()

    async def _refill(self, mark: int, committed: int, until: int, state: LogState) -> None:
        self._say_lost(mark, state)
        # What the log no longer has cannot be read again: a new log begins high above 0, an old one loses its oldest.
        after = max(mark, state.first - 1)
        if until > after:
            await refill(
                self._reader, self._store, self._shard, after=after, committed=committed, until=until, batch=REFILL_BATCH
            )

    def _say_lost(self, mark: int, state: LogState) -> None:
        first, last = max(mark, state.incarnation - 1, self._lost) + 1, state.first - 1
        if first <= last:
            self._lost = last
            log.error("lost", log=self._log, first=first, last=last, next=LOST)

    async def _write(self, items: Sequence[LoggedItem], through: int) -> None:
        if self._clock.monotonic() - self._sure > SURE_S:
            await self._compare()
        self._pace.begin()
        try:
            with metrics.ARCHIVE_COMMIT.time():
                await self._store.write(items, {self._log: through})
        except BaseException as error:
            self._pace.fail()
            if isinstance(error, Unavailable):
                self._sure = float("-inf")
            raise
        self._pace.end(len(items))
        metrics.ARCHIVED.inc(len(items))
        self._written = max(self._written, through)
        self._seen, self._sure = max(self._seen, through), self._clock.monotonic()
