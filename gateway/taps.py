"""Taps of one gateway, added up: what arrives within an interval is one durable addition per type, one read, one pulse.

The first tap after a quiet interval is counted at once; later ones of the stream at most every interval, together. Each
is answered after the PubAck. An addition is repeated under its own Msg-Id until the broker has answered or the publisher's
wait is over; so a tap is counted once, and told as failed only when nobody can know.
"""

import asyncio
from collections.abc import Callable

import msgspec

from infra.clock import Clock
from infra.errors import OvationError, Unavailable
from infra.jetstream.counters import Counters
from infra.jetstream.feed import Feed
from infra.jetstream.tally import Tally
from infra.telemetry import logs, metrics
from schemas import subjects
from schemas.items import REACTIONS
from schemas.pulse import ReactionPulse

log = logs.get(__name__)

#: Taps that may wait for their answer. 2,000 a second wait ten seconds for a broker that is away.
WAITING = 20_000
#: Streams that may have taps at a time.
STREAMS = 10_000
#: Where the stream is watched, its tally follows the pulses; the log is read this often, for what a pulse has lost.
READ_S = 1.0
#: A stopping gateway waits this long for the additions on their way.
STOP_S = 2.0


class _Batch:
    """The taps of one interval, by type; `counted` is set to what became of them, by type."""

    __slots__ = ("counted", "taps", "totals")

    def __init__(self) -> None:
        self.taps: dict[str, int] = {}
        self.totals: dict[str, int] = {}
        self.counted: asyncio.Future[dict[str, Unavailable | None]] = asyncio.get_running_loop().create_future()


class _Line:
    """A stream while it has taps: the batch that gathers, and the timer until the next may go."""

    __slots__ = ("batch", "read_at", "shard", "stream_id", "tally", "timer")

    def __init__(self, shard: int, stream_id: str) -> None:
        self.shard = shard
        self.stream_id = stream_id
        self.tally = Tally()
        self.read_at = float("-inf")
        self.batch: _Batch | None = None
        self.timer: asyncio.Handle | None = None


class Taps:
    """One per gateway."""

    def __init__(
        self,
        gateway: str,
        counters: Counters,
        feed: Feed,
        clock: Clock,
        interval_ms: int,
        watched: Callable[[str], Tally | None] = lambda _: None,
    ) -> None:
        """*gateway* must be a name no other process has or had; *watched* finds the tally of a stream with viewers here."""
        self._gateway = gateway
        self._counters = counters
        self._feed = feed
        self._clock = clock
        self._interval_s = interval_ms / 1000
        self._watched = watched
        self._lines: dict[str, _Line] = {}
        self._batches = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.waiting = 0

    async def count(self, shard: int, stream_id: str, name: str) -> dict[str, int]:
        """Count one tap and return the stream's totals, which contain it; returns once it is durable.

        Raises:
            Unavailable: too many wait, or the broker did not answer.
        """
        batch = self._join(shard, stream_id, name)
        self.waiting += 1
        try:
            failure = (await asyncio.shield(batch.counted))[name]
        finally:
            self.waiting -= 1
        if failure is not None:
            raise Unavailable(str(failure), failure.retry_after)
        return dict(batch.totals)

    async def stop(self) -> None:
        """Count what has gathered, and wait a moment for what is on its way."""
        for line in list(self._lines.values()):
            if line.timer is not None:
                line.timer.cancel()
            self._flush(line)
            if line.timer is not None:
                line.timer.cancel()
        self._lines.clear()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
        for task in list(self._tasks):
            task.cancel()

    def _join(self, shard: int, stream_id: str, name: str) -> _Batch:
        line = self._lines.get(stream_id)
        if self.waiting >= WAITING or (line is None and len(self._lines) >= STREAMS):
            msg = "too many reactions wait to be counted"
            raise Unavailable(msg)
        if line is None:
            line = self._lines[stream_id] = _Line(shard, stream_id)
        if line.batch is None:
            line.batch = _Batch()
        line.batch.taps[name] = line.batch.taps.get(name, 0) + 1
        if line.timer is None:
            # Not before the taps of the same turn of the loop are in.
            line.timer = asyncio.get_running_loop().call_soon(self._flush, line)
        return line.batch

    def _flush(self, line: _Line) -> None:
        line.timer = None
        if line.batch is None:
            # A quiet interval: the next tap is a first one again.
            self._lines.pop(line.stream_id, None)
            return
        batch, line.batch = line.batch, None
        line.timer = asyncio.get_running_loop().call_later(self._interval_s, self._flush, line)
        self._batches += 1
        task = asyncio.create_task(self._count(line, batch, f"{self._gateway}.taps.{self._batches}"))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("counting taps failed", exc_info=error)

    async def _count(self, line: _Line, batch: _Batch, msg_id: str) -> None:
        tally = self._watched(line.stream_id) or line.tally
        try:
            outcomes = await asyncio.gather(*(self._add(line, tally, name, by, msg_id) for name, by in batch.taps.items()))
            failures = dict(zip(batch.taps, outcomes, strict=True))
            counted = {name: by for name, by in batch.taps.items() if failures[name] is None}
            if counted:
                await self._read(line, tally)
                batch.totals = tally.totals(REACTIONS)
                pulse = ReactionPulse(counts=counted, parts=tally.parts(counted))
                await self._feed.tell(subjects.pulse(line.shard, line.stream_id), msgspec.json.encode(pulse))
            batch.counted.set_result(failures)
        finally:
            if not batch.counted.done():
                stopped = Unavailable("the gateway could not finish counting; see its log")
                batch.counted.set_result(dict.fromkeys(batch.taps, stopped))

    async def _add(self, line: _Line, tally: Tally, name: str, by: int, msg_id: str) -> Unavailable | None:
        try:
            value = await self._counters.add(line.shard, line.stream_id, name, by, f"{msg_id}.{name}")
        except Unavailable as error:
            metrics.REACTIONS.labels("failed").inc(by)
            return error
        except OvationError as error:
            log.error("counter refused", stream_id=line.stream_id, cause=str(error))
            return Unavailable(str(error))
        metrics.REACTIONS.labels("counted").inc(by)
        metrics.REACTION_BATCHES.inc()
        if value is not None:
            tally.know({name: {self._counters.part: value}})
        return None

    async def _read(self, line: _Line, tally: Tally) -> None:
        now = self._clock.monotonic()
        if tally is not line.tally and now - line.read_at < READ_S:
            return
        try:
            tally.know(await self._counters.parts(line.shard, line.stream_id))
            line.read_at = now
        except Unavailable as error:
            # It is counted; a 503 would make the viewer tap again.
            log.warning("totals not read", stream_id=line.stream_id, cause=str(error))
