"""All viewers of a gateway: let in where there is room, their streams checked against the log, sent away on shutdown."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.edge.quotas import Counted, Quotas
from gateway.fanout.announcer import Announcer
from gateway.fanout.arrivals import Arrivals
from gateway.fanout.audience import Audience
from gateway.fanout.audiences import Audiences
from gateway.fanout.catchup import Catchup
from gateway.fanout.presence import Presence
from gateway.fanout.sampling import weight_of
from gateway.fanout.slices import slices
from gateway.fanout.tailcheck import TailCheck
from gateway.fanout.viewer import Viewer
from gateway.history import History
from gateway.recess import Recess
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.connection import Connection
from infra.jetstream.counters import Counters
from infra.jetstream.feed import Feed
from infra.jetstream.reader import Reader
from infra.jetstream.tally import Tally
from infra.settings import Settings
from infra.telemetry import logs, metrics
from schemas import subjects
from schemas.items import REACTIONS, Comment
from schemas.records import StreamRecord

log = logs.get(__name__)

TICK_S = 1.0
#: A longer silence of the ticker means that the process was stopped: a log is checked before a ring of its is served.
PAUSED_S = 3.0
#: Viewers that were sent away get this long to take what is buffered for them.
LEAVE_S = 2.0


class Busy(Exception):
    """No room for one more viewer, or for one more of this person or address, or draining: come back later."""

    def __init__(self, reason: str) -> None:
        """*reason* is one of those of `metrics.REFUSED`."""
        super().__init__(reason)
        metrics.REFUSED.labels(reason).inc()


class Hub:
    """Owns the audiences, and knows how many viewers they have."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        connection: Connection,
        reader: Reader,
        history: History,
        counters: Counters,
        gateway: str,
    ) -> None:
        """*gateway* names this process among the others."""
        self._settings = settings
        self._clock = clock
        self._connection = connection
        self._feed = Feed(connection)
        self._reader = reader
        self._history = history
        self._counters = counters
        self._gateway = gateway
        self._presence = Presence(gateway, clock, settings.presence_exact)
        self._announcer = Announcer(self._presence, self._feed, self._show)
        self._catchup = Catchup(self._spawn)
        #: Those of all streams that are watched here.
        self.audiences = Audiences(self._make, counters)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticked = clock.monotonic()
        self._tails = TailCheck(reader, clock, self._spawn, self.audiences.open.values)
        self._arrivals = Arrivals(gateway, counters)
        self._counting: asyncio.Task[None] | None = None
        self._viewers = 0
        self.quotas = Quotas(settings.viewers_per_person, settings.viewers_per_address, settings.max_viewers)
        self._emptied = asyncio.Event()
        #: When posts begin.
        self.recess = Recess()
        self.draining = False
        #: Called with each viewer in the turn in which it is let in.
        self.on_join: Callable[[Viewer, Audience], None] = lambda _viewer, _audience: None

    @property
    def viewers(self) -> int:
        """Viewers this process serves."""
        return self._viewers

    def audience(self, stream_id: str) -> Audience | None:
        """The audience of a stream that is watched here."""
        return self.audiences.open.get(stream_id)

    async def start(self) -> None:
        """Listen to the other gateways and begin to tick.

        Raises:
            Unavailable: the broker is away.
        """
        await self._announcer.start()
        self._connection.on_up(self.check_all)
        self._connection.on_up(self.audiences.recount)
        self._spawn(self._tick())

    async def stop(self) -> None:
        """Stop ticking and close all audiences; drain first."""
        for task in list(self._tasks):
            task.cancel()
        await self.audiences.close()
        await self._announcer.stop()

    async def admit(self, viewer: Viewer, record: StreamRecord) -> Audience:
        """Make room for a viewer and find its audience.

        Raises:
            Busy: full, or draining.
            Unavailable: broker or store is away, and the stream not watched here yet or not checked since this process paused.
        """
        self._room(viewer)
        self._doubt_after_pause()
        await self._tails.settle(subjects.live_log(record.shard))
        audience = await self.audiences.of(record)
        if viewer.closed:
            raise Busy("gone")
        # Others came meanwhile.
        self._room(viewer)
        self._join(viewer, audience)
        return audience

    def admit_now(self, viewer: Viewer, record: StreamRecord) -> Audience | None:
        """Admit to an audience that is open, without waiting for anything; `None` where that is not possible.

        Raises:
            Busy: full, or draining.
        """
        self._room(viewer)
        self._doubt_after_pause()
        audience = self.audiences.open.get(record.stream_id)
        if audience is None or not self._tails.sure(subjects.live_log(record.shard)):
            return None
        self._join(viewer, audience)
        return audience

    def room(self, counted: Counted) -> None:
        """Whether there is room for one more connection; take it from `quotas` in the same turn of the loop.

        Raises:
            Busy: full, or draining.
        """
        if self.draining:
            raise Busy("draining")
        if reason := self.quotas.exceeded(counted):
            raise Busy(reason)

    def _room(self, viewer: Viewer) -> None:
        if viewer.takes_room:
            self.room(viewer)
        elif self.draining:
            raise Busy("draining")

    def _join(self, viewer: Viewer, audience: Audience) -> None:
        audience.join(viewer)
        if viewer.takes_room:
            self.quotas.take(viewer)
        self._viewers += 1
        self.on_join(viewer, audience)

    def _left(self, viewer: Viewer) -> None:
        if viewer.takes_room:
            self.quotas.give_back(viewer)
        self._viewers -= 1
        if not self._viewers:
            self._emptied.set()

    def serve(self, viewer: Viewer, audience: Audience, last_id: int | None, backfill: int) -> None:
        """Bring an admitted viewer to the live edge, in the background."""
        if last_id is None:
            self._arrivals.note(audience.record.shard, audience.stream_id)
        self._catchup.welcome(viewer, audience, last_id, backfill)

    def count(self, stream_id: str) -> int:
        """Viewers of a stream over all gateways."""
        return self._presence.count(stream_id)[0]

    def tally(self, stream_id: str) -> Tally | None:
        """What is known of a stream's counters, where it is watched here."""
        audience = self.audiences.open.get(stream_id)
        return audience.pulse.tally if audience else None

    def taken_at(self, stream_id: str, seq: int) -> int | None:
        """When the log took an item (ms) that came by on the feed a moment ago; `None` where nobody watches or it has not."""
        audience = self.audiences.open.get(stream_id)
        return audience.follower.taken_at(seq) if audience else None

    def samples(self, stream_id: str, comment: Comment) -> bool:
        """Whether some viewers may not be shown *comment*, as far as is heard here: not at all of what nobody watches here."""
        audience = self.audiences.open.get(stream_id)
        if audience is None or not audience.degradation.in_force.samples:
            return False
        return weight_of(comment, self._settings.sample_weights) > 0

    async def reaction_totals(self, record: StreamRecord) -> dict[str, int]:
        """Durable totals by reaction type, zeros left out.

        Raises:
            Unavailable: the counter log does not answer and the stream is not watched here.
        """
        known = self.tally(record.stream_id)
        tally = known or Tally()
        try:
            tally.know(await self._counters.parts(record.shard, record.stream_id))
        except Unavailable:
            if known is None:
                raise
        return tally.totals(REACTIONS)

    def changed(self, record: StreamRecord) -> None:
        """A stream's record changed; its audience keeps the newest."""
        if (audience := self.audiences.open.get(record.stream_id)) is not None:
            audience.record = record

    async def check_all(self) -> None:
        """Begin to ask for the tail of every watched stream, and to read what the feed did not bring."""
        self._tails.all()

    async def drain(self, seconds: float) -> None:
        """End all connections, spread over *seconds*, each with a jittered `retry:` and between two frames.

        Returns once they have taken what was theirs, or have had `LEAVE_S` for it.
        """
        self.draining = True
        viewers = [viewer for audience in self.audiences.open.values() for viewer in audience.viewers]
        if not viewers:
            return
        log.info("draining", viewers=len(viewers), seconds=seconds)
        steps = max(1, min(len(viewers), int(seconds * 20)))
        for step in range(steps):
            for viewer in viewers[step::steps]:
                viewer.end()
            if step < steps - 1:
                await asyncio.sleep(seconds / steps)
        if self._viewers:
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), LEAVE_S)

    def _make(self, record: StreamRecord) -> Audience:
        audience = Audience(
            record, self._settings, self._clock, self._feed, self._reader, self._history, self._presence, self.recess
        )
        audience.on_returned = self._catchup.queue
        audience.on_left = self._left
        return audience

    def _show(self, stream_id: str, count: int, approximate: bool) -> None:  # noqa: FBT001 - the pair of `Presence.count`
        if (audience := self.audiences.open.get(stream_id)) is not None:
            audience.count_viewers(count, approximate)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background work failed", exc_info=error)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self._beat(self._clock.monotonic())
            except Exception:
                # One stream's fault must not end heartbeats, expiry and tail checks of all others for good.
                log.exception("a tick failed")

    def _doubt_after_pause(self) -> None:
        now = self._clock.monotonic()
        if now - self._ticked > PAUSED_S:
            self._ticked = now
            self._tails.doubt()

    async def _beat(self, now: float) -> None:
        self._doubt_after_pause()
        self._ticked = now
        self._tails.due()
        if self._counting is None or self._counting.done():
            # Beside the ticks: a durable count waits for an absent broker, heartbeats and new viewers must not.
            self._counting = self._spawn(self._arrivals.count())
        for some in slices(self.audiences.open.values()):
            for audience in some:
                audience.tick(now)
                await self._measure(audience)
                self._expire(audience)
            await asyncio.sleep(0)
        await self.audiences.bound(self._settings.ring_total_bytes)
        await self.audiences.close_idle(now)

    async def _measure(self, audience: Audience) -> None:
        for message in audience.measure():
            await self._feed.tell(subjects.pulse(audience.record.shard, audience.stream_id), message)

    def _expire(self, audience: Audience) -> None:
        if not audience.expiring:
            return
        now = self._clock.now_ms() / 1000
        for viewer in list(audience.expiring):
            if viewer.expires_at is not None and viewer.expires_at <= now:
                viewer.end(come_back=False)
