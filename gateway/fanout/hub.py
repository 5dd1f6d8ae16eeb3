"""All audiences of a gateway: opened on the first viewer, checked against the log, drained on shutdown."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

from gateway.fanout.announcer import Announcer
from gateway.fanout.audience import Audience
from gateway.fanout.catchup import Catchup
from gateway.fanout.presence import Presence
from gateway.fanout.viewer import Viewer
from gateway.history import History
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.connection import Connection
from infra.jetstream.counters import Counters
from infra.jetstream.feed import Feed
from infra.jetstream.reader import Reader
from infra.jetstream.tally import Tally
from infra.settings import Settings
from infra.telemetry import logs
from schemas.items import REACTIONS
from schemas.records import StreamRecord

log = logs.get(__name__)

TICK_S = 1.0
#: A lost last message announces itself to nobody: streams with a young last event are asked for their tail this often...
CHECK_YOUNG_S = 2.0
YOUNG_S = 60.0
#: ... and the others this often.
CHECK_ALL_S = 30.0
#: A longer silence of the ticker means that the process was stopped: everything is checked before a ring is served.
PAUSED_S = 3.0
#: An audience without viewers keeps following for this long: a reload finds its ring warm.
IDLE_S = 30.0


#: Counters read side by side after the broker's return.
RECOUNTS = 32


class Busy(Exception):
    """No room, or draining: come back later."""


class Hub:
    """Owns the audiences."""

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
        self._catchup = Catchup()
        self._audiences: dict[str, Audience] = {}
        self._opening: dict[str, asyncio.Task[Audience]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticked = clock.monotonic()
        self._checked_young = self._checked_all = clock.monotonic()
        self._arrivals: dict[tuple[int, str], int] = defaultdict(int)
        self._arrival_batch = 0
        self._counting: asyncio.Task[None] | None = None
        self.draining = False

    @property
    def viewers(self) -> int:
        """Connections this process serves."""
        return sum(len(audience.viewers) for audience in self._audiences.values())

    async def start(self) -> None:
        """Listen to the other gateways and begin to tick.

        Raises:
            Unavailable: the broker is away.
        """
        await self._announcer.start()
        self._connection.on_up(self.check_all)
        self._connection.on_up(self._recount)
        self._spawn(self._tick())

    async def stop(self) -> None:
        """Stop ticking and close all audiences; drain first."""
        for task in list(self._tasks):
            task.cancel()
        for audience in list(self._audiences.values()):
            await audience.close()
        await self._announcer.stop()

    async def admit(self, viewer: Viewer, record: StreamRecord) -> Audience:
        """Make room for a viewer and find its audience.

        Raises:
            Busy: full, or draining.
            Unavailable: broker or store is away and the stream is not watched here yet.
        """
        if self.draining or self.viewers >= self._settings.max_viewers:
            raise Busy
        if self._clock.monotonic() - self._ticked > PAUSED_S:
            await self.check_all()
        audience = await self._audience(record)
        if viewer.closed:
            raise Busy
        audience.join(viewer)
        return audience

    def serve(self, viewer: Viewer, audience: Audience, last_id: int | None, backfill: int) -> None:
        """Bring an admitted viewer to the live edge, in the background."""
        if last_id is None:
            self._arrivals[audience.record.shard, audience.stream_id] += 1
        self._spawn(self._start(viewer, audience, last_id, backfill))

    def count(self, stream_id: str) -> int:
        """Viewers of a stream over all gateways."""
        return self._presence.count(stream_id)[0]

    def tally(self, stream_id: str) -> Tally | None:
        """What is known of a stream's counters, where it is watched here."""
        audience = self._audiences.get(stream_id)
        return audience.pulse.tally if audience else None

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
        if (audience := self._audiences.get(record.stream_id)) is not None:
            audience.record = record

    async def check_all(self) -> None:
        """Ask for the tail of every watched stream and read what the feed did not bring.

        Raises:
            Unavailable: the broker is away.
        """
        await self._check(list(self._audiences.values()))
        self._checked_all = self._checked_young = self._ticked = self._clock.monotonic()

    async def _recount(self) -> None:
        """Read all counters again: pulses sent while the broker was away are lost."""
        slots = asyncio.Semaphore(RECOUNTS)

        async def recount(audience: Audience) -> None:
            async with slots:
                parts = await self._counters.parts(audience.record.shard, audience.stream_id)
            audience.learn(parts)

        await asyncio.gather(*(recount(audience) for audience in self._audiences.values()))

    async def drain(self, seconds: float) -> None:
        """End all connections, spread over *seconds*, each with a jittered `retry:` and between two frames."""
        self.draining = True
        viewers = [viewer for audience in self._audiences.values() for viewer in audience.viewers]
        if not viewers:
            return
        log.info("draining", viewers=len(viewers), seconds=seconds)
        steps = max(1, min(len(viewers), int(seconds * 20)))
        for step in range(steps):
            for viewer in viewers[step::steps]:
                viewer.end()
            if step < steps - 1:
                await asyncio.sleep(seconds / steps)

    async def _audience(self, record: StreamRecord) -> Audience:
        stream_id = record.stream_id
        if (audience := self._audiences.get(stream_id)) is not None:
            return audience
        task = self._opening.get(stream_id)
        if task is None:
            task = asyncio.create_task(self._open(record))
            self._opening[stream_id] = task
            task.add_done_callback(lambda _: self._opening.pop(stream_id, None))
        return await asyncio.shield(task)

    async def _open(self, record: StreamRecord) -> Audience:
        audience = Audience(record, self._settings, self._clock, self._feed, self._reader, self._history, self._presence)
        audience.on_lagging = self._resynchronise
        try:
            await audience.open()
            # Only now: what is counted from here on comes as a pulse.
            audience.pulse.know(await self._counters.parts(record.shard, record.stream_id))
        except Unavailable:
            await audience.close()
            raise
        self._audiences[record.stream_id] = audience
        return audience

    async def _start(self, viewer: Viewer, audience: Audience, last_id: int | None, backfill: int) -> None:
        try:
            await self._catchup.start(viewer, audience, last_id, backfill)
            if not viewer.comments_only:
                # The next change may be long in coming.
                audience.pulse.count(*self._presence.count(audience.stream_id))
                viewer.send(audience.pulse.viewers_frame())
        except Unavailable as error:
            log.warning("viewer sent away", stream_id=audience.stream_id, cause=str(error))
            viewer.end()

    def _resynchronise(self, viewer: Viewer) -> None:
        if viewer.audience is not None and not viewer.closed:
            self._spawn(self._catchup.bring(viewer, viewer.audience))

    def _show(self, stream_id: str, count: int, approximate: bool) -> None:  # noqa: FBT001 - the pair of `Presence.count`
        if (audience := self._audiences.get(stream_id)) is not None:
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
            now = self._clock.monotonic()
            paused, self._ticked = now - self._ticked > PAUSED_S, now
            with contextlib.suppress(Unavailable):
                await self._check_due(now, paused=paused)
            if self._counting is None or self._counting.done():
                # Beside the ticks: a durable count waits for an absent broker, heartbeats and new viewers must not.
                self._counting = self._spawn(self._count_arrivals())
            for audience in list(self._audiences.values()):
                audience.tick(now)
                self._expire(audience)
            self._bound_rings()
            await self._close_idle(now)

    async def _check_due(self, now: float, *, paused: bool) -> None:
        if paused or now - self._checked_all >= CHECK_ALL_S:
            await self.check_all()
        elif now - self._checked_young >= CHECK_YOUNG_S - TICK_S / 2:
            # At the nearest tick: a tick that comes a moment early must not make it three seconds.
            self._checked_young = now
            await self._check([a for a in self._audiences.values() if now - a.last_event < YOUNG_S])

    async def _check(self, audiences: list[Audience]) -> None:
        by_log: dict[str, dict[str, Audience]] = defaultdict(dict)
        for audience in audiences:
            by_log[audience.log][audience.subject] = audience
        for name, watched in by_log.items():
            for subject, message in (await self._reader.tails(name, list(watched))).items():
                watched[subject].expect(message.seq)

    async def _count_arrivals(self) -> None:
        arrivals, self._arrivals = self._arrivals, defaultdict(int)
        for (shard, stream_id), count in arrivals.items():
            self._arrival_batch += 1
            msg_id = f"{self._gateway}.{self._arrival_batch}"
            try:
                await self._counters.add(shard, stream_id, "arrivals", count, msg_id)
            except Unavailable:
                self._arrivals[shard, stream_id] += count

    def _expire(self, audience: Audience) -> None:
        now = self._clock.now_ms() / 1000
        for viewer in list(audience.viewers):
            if viewer.expires_at is not None and viewer.expires_at <= now:
                viewer.end(come_back=False)

    def _bound_rings(self) -> None:
        over = sum(audience.ring.bytes for audience in self._audiences.values()) - self._settings.ring_total_bytes
        # The largest give first: they are refilled the fastest.
        for audience in sorted(self._audiences.values(), key=lambda a: -a.ring.bytes):
            if over <= 0:
                break
            over -= audience.ring.shed(over)

    async def _close_idle(self, now: float) -> None:
        for stream_id, audience in list(self._audiences.items()):
            if not audience.viewers and now - audience.idle_since > IDLE_S:
                del self._audiences[stream_id]
                await audience.close()
