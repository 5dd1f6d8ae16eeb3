"""One stream's viewers in this gateway: the feed comes in, windows go out."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.fanout import sse
from gateway.fanout.presence import Presence
from gateway.fanout.pulse import Pulse
from gateway.fanout.ring import Ring
from gateway.fanout.viewer import Viewer
from gateway.fanout.window import Window
from gateway.fanout.windower import Windower
from gateway.history import History
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.feed import Feed, FeedMessage, Subscription
from infra.jetstream.reader import Reader
from infra.jetstream.tally import Parts
from infra.telemetry import logs, metrics
from schemas import subjects
from schemas.records import StreamRecord

log = logs.get(__name__)

#: The loop is never held for longer than about this while one window goes to many viewers.
SLICE = 500
#: Never silent for more than 15 s; checked every second.
HEARTBEAT_S = 10.0


class Tuning(Protocol):
    """The settings an audience reads."""

    @property
    def window_ms(self) -> int:
        """Milliseconds between two flushes."""

    @property
    def ring_bytes(self) -> int:
        """Bytes the ring may hold."""

    @property
    def ring_s(self) -> float:
        """Seconds a window stays in it."""


class Audience:
    """Feed, windower, ring and viewers of one stream.

    The invariant everything rests on: a window is written only to viewers whose position is its `prev`, and writing moves
    them to its `to`. Whoever is elsewhere (skipped, catching up) is brought back by `catchup`.
    """

    def __init__(
        self,
        record: StreamRecord,
        tuning: Tuning,
        clock: Clock,
        feed: Feed,
        reader: Reader,
        history: History,
        presence: Presence,
    ) -> None:
        self.record = record
        self.history = history
        self.clock = clock
        self.ring = Ring(tuning.ring_bytes, tuning.ring_s)
        self.pulse = Pulse(clock)
        self.viewers: set[Viewer] = set()
        self.live: set[Viewer] = set()
        self._presence = presence
        self.last_event = clock.monotonic()
        self.idle_since = clock.monotonic()
        #: Called with a viewer that was skipped and has drained.
        self.on_lagging: Callable[[Viewer], None] = lambda _: None
        self._interval = tuning.window_ms / 1000
        self._feed = feed
        self._reader = reader
        self._windower: Windower | None = None
        self._early: list[FeedMessage] = []
        self._subscriptions: list[Subscription] = []
        self._last_flush = float("-inf")
        self._last_write = clock.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._repair: asyncio.Task[None] | None = None
        self._writing = False
        self._flushed = asyncio.Event()

    @property
    def stream_id(self) -> str:
        """The stream it watches."""
        return self.record.stream_id

    @property
    def log(self) -> str:
        """The stream's live log."""
        return subjects.live_log(self.record.shard)

    @property
    def subject(self) -> str:
        """The stream's subject in it."""
        return subjects.live(self.record.shard, self.stream_id)

    @property
    def windower(self) -> Windower:
        """The account of what was taken and flushed; there once `open` has returned."""
        if self._windower is None:
            msg = "the audience is not open"
            raise RuntimeError(msg)
        return self._windower

    @property
    def position(self) -> int:
        """The `to` of the last window."""
        return self.windower.position

    async def open(self) -> None:
        """Subscribe, then find the tail: what comes in between is held and taken after it.

        Raises:
            Unavailable: the broker or the store is away.
        """
        shard = self.record.shard
        self._subscriptions = [
            await self._feed.follow(subjects.feed(shard, self.stream_id), self._take),
            await self._feed.listen(subjects.pulse(shard, self.stream_id), self._take_pulse),
        ]
        last = await self._reader.last(self.log, self.subject)
        base = last.seq if last else await self.history.tail(self.record)
        self._windower = Windower(self.stream_id, base, await self.history.removals(self.record))
        early, self._early = self._early, []
        for message in early:
            self._take(message)

    async def close(self) -> None:
        """Stop following; the viewers must be gone or ended."""
        if self._timer:
            self._timer.cancel()
        if self._repair:
            self._repair.cancel()
        for subscription in self._subscriptions:
            await subscription.end()

    def join(self, viewer: Viewer) -> None:
        """Count a viewer; it is written to only once it is live."""
        viewer.audience = self
        self.viewers.add(viewer)
        self._presence.join(self.stream_id, viewer.person)
        metrics.VIEWERS.inc()

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        if viewer not in self.viewers:
            return
        self.viewers.discard(viewer)
        self.live.discard(viewer)
        self._presence.leave(self.stream_id, viewer.person)
        if not self.viewers:
            self.idle_since = self.clock.monotonic()
        metrics.VIEWERS.dec()

    def expect(self, tail: int) -> None:
        """The log's tail, from a check: read what the feed did not bring."""
        if self._windower is not None and not self._windower.expect(tail):
            metrics.FEED_REPAIRS.inc()
            self._start_repair()

    async def reached(self, position: int) -> None:
        """Wait until the windows reach *position*, which may be known from another gateway that is ahead of this one."""
        self.expect(position)
        while self.position < position:
            flushed = self._flushed
            await flushed.wait()

    async def catch_tail(self) -> None:
        """Wait until the windows reach what the log holds now: what was acknowledged before a viewer came is not news to it.

        Raises:
            Unavailable: the broker is away.
        """
        last = await self._reader.last(self.log, self.subject)
        if last is not None and last.seq > self.position:
            self._last_flush = float("-inf")
            await self.reached(last.seq)

    def count_viewers(self, count: int, approximate: bool) -> None:  # noqa: FBT001 - the pair of `Presence.count`
        """Note the viewers over all gateways."""
        self.pulse.count(count, approximate)
        if self.pulse.due:
            self._schedule()

    def learn(self, parts: Parts) -> None:
        """Note what the counter log says, and tell the viewers what they have missed of it."""
        self.pulse.know(parts, tell=True)
        if self.pulse.due:
            self._schedule()

    def tick(self, now: float) -> None:
        """Once a second: heartbeat, age of the ring."""
        self.ring.trim(now)
        if now - self._last_write >= HEARTBEAT_S and self.viewers:
            self._last_write = now
            for viewer in self.viewers:
                if not viewer.paused:
                    viewer.write(sse.HEARTBEAT, sse.HEARTBEAT_DEFLATED)

    def _take(self, message: FeedMessage) -> None:
        if self._windower is None:
            self._early.append(message)
            return
        self.last_event = self.clock.monotonic()
        if self._windower.take(message):
            self._schedule()
        else:
            metrics.FEED_REPAIRS.inc()
            self._start_repair()

    def _take_pulse(self, _subject: str, payload: bytes) -> None:
        if self.pulse.take(payload):
            self._schedule()

    def _start_repair(self) -> None:
        if self._repair is None or self._repair.done():
            self._repair = asyncio.create_task(self._read_missing())

    async def _read_missing(self) -> None:
        windower = self.windower
        while windower.behind:
            until = windower.wanted
            try:
                messages = await self._reader.range(self.log, self.subject, windower.last, until)
            except Unavailable as error:
                # The next tail check starts this again.
                log.warning("feed not repaired yet", stream_id=self.stream_id, cause=str(error))
                return
            windower.fill(messages, until)
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None or self._writing:
            return
        # Leading edge: a quiet stream's item leaves at once, with whatever arrived in the same read of the socket.
        wait = self._last_flush + self._interval - self.clock.monotonic()
        self._timer = asyncio.get_running_loop().call_later(max(wait, 0.0), self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._last_flush = self._last_write = self.clock.monotonic()
        windower = self.windower
        window = None
        if windower.rewrite_due:
            windower.rewrite_due = False
            self.ring.rewrite(windower.reason_of)
        if windower.dirty:
            window = windower.flush(self._last_flush)
            self.ring.append(window)
            metrics.WINDOWS.inc()
            self._flushed.set()
            self._flushed = asyncio.Event()
        pulse = self.pulse.frame()
        if window is None and not pulse:
            return
        self._writing = True
        self._write(list(self.live), window, pulse, sse.deflated(pulse) if pulse else b"")

    def _write(self, viewers: list[Viewer], window: Window | None, pulse: bytes, pulse_deflated: bytes) -> None:
        """Write to one slice of viewers and leave the rest to the loop's next turn."""
        plain, deflated = (window.plain, window.deflated) if window else (b"", b"")
        both, both_deflated = plain + pulse, deflated + pulse_deflated
        for viewer in viewers[:SLICE]:
            if viewer.closed or viewer not in self.live:
                continue
            if viewer.paused or (window is not None and viewer.position != window.prev):
                self.live.discard(viewer)
                metrics.SKIPPED.inc()
                self.on_lagging(viewer)
                continue
            if window is not None:
                viewer.position = window.to
            if not viewer.comments_only:
                viewer.write(both, both_deflated)
            elif plain:
                viewer.write(plain, deflated)
        rest = viewers[SLICE:]
        if rest:
            asyncio.get_running_loop().call_soon(self._write, rest, window, pulse, pulse_deflated)
            return
        self._writing = False
        if self.windower.dirty or self.pulse.due:
            self._schedule()
