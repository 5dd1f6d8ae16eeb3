"""Follows one stream: its feed, repaired from the log, into a windower; its pulse beside it."""

import asyncio
from collections.abc import Callable

from gateway.fanout.slices import slices
from gateway.fanout.windower import Windower
from gateway.history import History
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.connection import Subscription
from infra.jetstream.feed import Feed, FeedMessage
from infra.jetstream.reader import Reader
from infra.policy import Weights
from infra.telemetry import logs, metrics
from schemas import subjects
from schemas.records import StreamRecord

log = logs.get(__name__)

#: At 5,000 comments a second a fifth of a second, and an answer asks after a few milliseconds.
MOST_TIMES = 1000
#: What could not be read is tried again after so long, and each time after twice as long up to the latter: a check tells a tail
#: once, and the next message may never come.
AGAIN_S, AGAIN_AT_MOST_S = 0.25, 2.0
#: Messages of one read, and of one turn of the loop that takes them: the 60,000 of a long cut hold it for most of a second, 250
#: for 3 ms.
PIECE, TURN = 1000, 250
#: Nothing more is read while more than this waits to be flushed, looked at so often: the log keeps the rest.
MOST_PENDING, LOOK_S = 2 * PIECE, 0.02


class Follower:
    """The windower is there once `open` has returned; `on_news` is called when it has something to flush."""

    __slots__ = (
        "_clock",
        "_closed",
        "_early",
        "_feed",
        "_history",
        "_on_news",
        "_reader",
        "_repair",
        "_subscriptions",
        "_times",
        "_windower",
        "last_event",
        "log",
        "subject",
    )

    def __init__(self, clock: Clock, feed: Feed, reader: Reader, history: History, on_news: Callable[[], None]) -> None:
        self._clock = clock
        self._feed = feed
        self._reader = reader
        self._history = history
        self._on_news = on_news
        self._early: list[FeedMessage] = []
        self._subscriptions: list[Subscription] = []
        #: When the log took what came lately: an author's answer names it.
        self._times: dict[int, int] = {}
        self._windower: Windower | None = None
        self._repair: asyncio.Task[None] | None = None
        self._closed = False
        #: The stream's live log and its subject there.
        self.log = self.subject = ""
        self.last_event = clock.monotonic()

    @property
    def windower(self) -> Windower:
        """The account of what was taken and flushed."""
        if self._windower is None:
            msg = "the follower is not open"
            raise RuntimeError(msg)
        return self._windower

    async def open(self, record: StreamRecord, weights: Weights, take_pulse: Callable[[str, bytes], None]) -> None:
        """Subscribe, then find the tail: what comes in between is held and taken after it.

        Raises:
            Unavailable: the broker or the store is away.
        """
        shard, stream_id = record.shard, record.stream_id
        self.log, self.subject = subjects.live_log(shard), subjects.live(shard, stream_id)
        # Each by itself: where the second one fails the first is ended with the rest.
        self._subscriptions.append(await self._feed.follow(subjects.feed(shard, stream_id), self._take))
        self._subscriptions.append(await self._feed.listen(subjects.pulse(shard, stream_id), take_pulse))
        last = await self._reader.last(self.log, self.subject)
        base = last.seq if last else await self._history.tail(record)
        self._windower = Windower(stream_id, base, await self._history.removals(record), weights)
        early, self._early = self._early, []
        for message in early:
            self._take(message)

    async def close(self) -> None:
        """Stop following."""
        # A check may still name a tail: a repair that nobody ends would be tried for as long as the log cannot be read.
        self._closed = True
        if self._repair:
            self._repair.cancel()
        for subscription in self._subscriptions:
            await subscription.end()

    def expect(self, tail: int) -> None:
        """The log's tail, from a check: read what the feed did not bring."""
        if self._windower is not None and not self._windower.expect(tail):
            metrics.FEED_REPAIRS.inc()
            self._start_repair()

    def taken_at(self, seq: int) -> int | None:
        """When the log took *seq* (ms), where it came on the feed a moment ago."""
        return self._times.get(seq)

    async def tail(self) -> int:
        """The stream's last seq in its log; 0 where it holds nothing of it.

        Raises:
            Unavailable: the broker is away.
        """
        last = await self._reader.last(self.log, self.subject)
        return last.seq if last is not None else 0

    def _take(self, message: FeedMessage) -> None:
        if self._windower is None:
            self._early.append(message)
            return
        self.last_event = self._clock.monotonic()
        self._times[message.seq] = message.at_ms
        if len(self._times) > MOST_TIMES:
            del self._times[next(iter(self._times))]
        if self._windower.take(message):
            self._on_news()
        else:
            metrics.FEED_REPAIRS.inc()
            self._start_repair()

    def _start_repair(self) -> None:
        if not self._closed and (self._repair is None or self._repair.done()):
            self._repair = asyncio.create_task(self._read_missing())

    async def _read_missing(self) -> None:
        pause = AGAIN_S
        while self.windower.behind:
            try:
                await self._read_on()
            except Unavailable as error:
                if pause == AGAIN_S:
                    log.warning("feed not repaired yet", subject=self.subject, cause=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, AGAIN_AT_MOST_S)
            else:
                pause = AGAIN_S
        self._on_news()

    async def _read_on(self) -> None:
        """Take one piece of what is missing; what the feed brings meanwhile is wanted as well, and read in its turn."""
        windower, until = self.windower, self.windower.wanted
        messages = await self._reader.range(self.log, self.subject, windower.last, until, PIECE)
        for some in slices(messages, TURN):
            windower.fill(some, some[-1].seq)
            self._on_news()
            await asyncio.sleep(0)
        if len(messages) < PIECE:
            windower.fill([], until)
        while windower.pending > MOST_PENDING:  # noqa: ASYNC110 - the flushes are the audience's, and follow at once while behind
            await asyncio.sleep(LOOK_S)
