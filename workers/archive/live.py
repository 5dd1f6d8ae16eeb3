"""A live log's items into the store: one transaction a batch, which also says how far the log is archived."""

from collections.abc import Sequence

from infra.clock import Clock
from infra.jetstream.pull import Delivery, Pull
from infra.jetstream.reader import LogMessage, Reader
from infra.stores import CommentStore, LoggedItem
from infra.telemetry import metrics
from schemas import subjects
from workers.archive.refill import logged_item, refill
from workers.archive.watermark import Watermark
from workers.handler import Done, Outcome, Reject

#: Seconds between two questions for the consumer's state while the watermark waits for its answer.
ASK_S = 0.25
REFILL_BATCH = 1000


class LiveArchive:
    """The handler of one live log's `archive` consumer."""

    def __init__(self, pull: Pull, store: CommentStore, reader: Reader, clock: Clock, shard: int) -> None:
        self._pull = pull
        self._store = store
        self._reader = reader
        self._clock = clock
        self._shard = shard
        self._log = subjects.live_log(shard)
        self._watermark = Watermark(0)
        self._written = 0
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
        floor = await self._store.archived_through(self._log)
        committed = (await self._pull.state()).ack_floor
        # What the log no longer has cannot be read again: a new log begins high above 0, an old one loses its oldest.
        after = max(floor, (await self._reader.state(self._log)).first - 1)
        if committed > after:
            await refill(self._reader, self._store, self._shard, after=after, until=committed, batch=REFILL_BATCH)
        self._watermark = Watermark(max(floor, committed))
        self._written = floor
        self._opened = True

    async def _write(self, items: Sequence[LoggedItem], through: int) -> None:
        with metrics.ARCHIVE_COMMIT.time():
            await self._store.write(items, {self._log: through})
        metrics.ARCHIVED.inc(len(items))
        self._written = max(self._written, through)
