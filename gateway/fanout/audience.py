"""One stream's viewers in this gateway: the feed comes in, windows go out."""

import asyncio
from collections.abc import Callable

from gateway.fanout.degradation import Degradation
from gateway.fanout.follower import Follower
from gateway.fanout.lanes import Lanes
from gateway.fanout.presence import Presence
from gateway.fanout.pulse import Pulse
from gateway.fanout.rhythm import Rhythm
from gateway.fanout.ring import Ring
from gateway.fanout.sender import Sender
from gateway.fanout.shelf import Shelf
from gateway.fanout.viewer import Viewer
from gateway.fanout.window import Window, as_decided
from gateway.fanout.windower import Windower
from gateway.fanout.wire import Wire
from gateway.fanout.writing import writer
from gateway.history import History
from gateway.recess import Recess
from gateway.shown import Shown
from infra.clock import Clock
from infra.jetstream.feed import Feed
from infra.jetstream.reader import Reader
from infra.jetstream.tally import Parts
from infra.settings import Settings
from infra.telemetry import logs, metrics
from schemas.records import StreamRecord

log = logs.get(__name__)


class Audience:
    """Follower, ring and viewers of one stream.

    The invariant everything rests on: all live viewers are at the `to` of the last window, and the next one goes to all of
    them. Whoever is elsewhere (new, skipped, resuming) is brought to that position by `catchup`, and only then joins a lane.
    """

    def __init__(
        self,
        record: StreamRecord,
        settings: Settings,
        clock: Clock,
        feed: Feed,
        reader: Reader,
        history: History,
        presence: Presence,
        recess: Recess,
    ) -> None:
        self.record = record
        self.history = history
        self.clock = clock
        self.follower = Follower(clock, feed, reader, history, self._on_news)
        self.ring = Ring(settings.ring_bytes, settings.ring_s)
        self._shelf = Shelf()
        self.pulse = Pulse(clock)
        self.degradation = Degradation(presence.gateway, settings, clock)
        self.viewers: set[Viewer] = set()
        #: Viewers whose credential ends some time.
        self.expiring: set[Viewer] = set()
        self._presence = presence
        self.idle_since = clock.monotonic()
        #: Called with a viewer that was skipped, and has taken everything since.
        self.on_returned: Callable[[Viewer], None] = lambda _: None
        #: Whether a tail check has covered it.
        self.checked = False
        self.on_left: Callable[[Viewer], None] = lambda _: None
        self._settings = settings
        self._lanes = Lanes(clock)
        self._sender = Sender(writer(settings.writer), self._fell_short)
        self._recess = recess
        #: Whether posts wait for the flush that is due or on its way.
        self._in_session = False
        self._rhythm = Rhythm(settings.window_ms / 1000, settings.window_max_ms / 1000)
        #: The position of live viewers whom the flush on its way has not reached yet.
        self._flushed_from = 0
        self._timer: asyncio.TimerHandle | None = None
        self._count_timer: asyncio.TimerHandle | None = None
        #: When the oldest item of the window on its way had come, and the longest that one took since `measure` was called.
        self._sending_since: float | None = None
        self._slowest_s = 0.0
        self._left_over = False
        self._flushed = asyncio.Event()

    @property
    def stream_id(self) -> str:
        """The stream it watches."""
        return self.record.stream_id

    @property
    def windower(self) -> Windower:
        """The account of what was taken and flushed; there once `open` has returned."""
        return self.follower.windower

    @property
    def position(self) -> int:
        """The `to` of the last window."""
        return self.windower.position

    async def open(self) -> None:
        """Begin to follow.

        Raises:
            Unavailable: the broker or the store is away.
        """
        await self.follower.open(self.record, self._settings.sample_weights, self._take_pulse)

    async def close(self) -> None:
        """Stop following; the viewers must be gone or ended."""
        for timer in (self._timer, self._count_timer):
            if timer is not None:
                timer.cancel()
        await self.follower.close()

    def join(self, viewer: Viewer) -> None:
        """Count a viewer; it is written to only once it is live."""
        viewer.audience = self
        self.viewers.add(viewer)
        if viewer.expires_at is not None:
            self.expiring.add(viewer)
        self._presence.join(self.stream_id, viewer.person)
        metrics.VIEWERS.inc()

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        if viewer not in self.viewers:
            return
        self.viewers.discard(viewer)
        self.expiring.discard(viewer)
        self._presence.leave(self.stream_id, viewer.person)
        if not self.viewers:
            self.idle_since = self.clock.monotonic()
        metrics.VIEWERS.dec()
        self.on_left(viewer)

    def go_live(self, viewer: Viewer) -> None:
        """Put a viewer that has reached `position` into its lane."""
        self._lanes.add(viewer)
        self._rhythm.arrive()

    def stand_back(self, viewer: Viewer) -> None:
        """Take a live viewer off its roll: something of its own waits in user space, and shared frames must not pass it."""
        if viewer.roll is None:
            return
        metrics.SKIPPED.inc()
        viewer.position = self._flushed_from if self._sender.awaits(viewer) else self.position
        viewer.roll.discard(viewer)

    def covers(self, position: int) -> bool:
        """Whether the ring leads from *position* to the live edge; a stream's first window begins at 0, before the log does."""
        return position == self.position or any(each.prev or not position for each in self.ring.after(position, 1) or ())

    def after(self, position: int, limit: int) -> list[Window] | None:
        """The next *limit* windows for somebody at *position*, of the ring or the shelf; `None` when neither covers it."""
        found = self.ring.after(position, limit)
        return found or self._shelf.after(position, limit, self.clock.monotonic()) or found

    def shelve(self, windows: list[Window]) -> None:
        """Keep what was read: before the ring's first window where it leads up to it and there is room, else on the shelf."""
        if windows[-1].to == (self.ring.start or self.position) and self.ring.has_room(windows):
            self.ring.prepend(windows)
        else:
            self._shelf.put(windows, self.clock.monotonic())

    @property
    def held(self) -> int:
        """Bytes that its ring and shelf hold."""
        return self.ring.bytes + self._shelf.bytes

    def as_decided(self, items: list[Shown]) -> list[Shown]:
        """Items that were read a moment ago, by the decisions known now."""
        return [as_decided(item, self.windower.reason_of) for item in items]

    async def reached(self, position: int) -> None:
        """Wait until the windows reach *position*, which may be known from another gateway that is ahead of this one."""
        self.follower.expect(position)
        while self.position < position:
            await self.moved()

    async def moved(self) -> None:
        """Wait for the next window."""
        await self._flushed.wait()

    async def catch_tail(self) -> None:
        """Wait until the windows reach what the log holds now: what was acknowledged before a viewer came is not news to it.

        Raises:
            Unavailable: the broker is away.
        """
        tail = await self.follower.tail()
        if tail > self.position:
            self._rhythm.hurry()
            await self.reached(tail)

    def count_frame(self, wire: Wire) -> bytes:
        """The viewer count as it stands, for one who just came: the next change may be long in coming."""
        return wire.event(*self.pulse.viewers_news())

    def recount(self) -> None:
        """Look at the viewer count again: somebody is about to be told it, and counts it in."""
        self.pulse.count(*self._presence.count(self.stream_id))

    def count_viewers(self, count: int, approximate: bool) -> None:  # noqa: FBT001 - the pair of `Presence.count`
        """Note the viewers over all gateways."""
        self.pulse.count(count, approximate)
        self._tell_count()

    def learn(self, parts: Parts) -> None:
        """Note what the counter log says, and tell the viewers what they have missed of it."""
        self.pulse.know(parts, tell=True)
        if self.pulse.due:
            self._schedule()

    def measure(self) -> list[bytes]:
        """Once a second: what to tell the other gateways on the pulse."""
        # A flush may take longer than a second: what it has taken so far is the least that it will have.
        sending_s = self.clock.monotonic() - self._sending_since if self._sending_since is not None else 0.0
        slowest_s, self._slowest_s = max(self._slowest_s, sending_s), 0.0
        return self.degradation.tick(self.pulse.viewers, slowest_s * 1000, self.windower.inflow())

    def tick(self, now: float) -> None:
        """Once a second: heartbeat, age of the ring and of epochs."""
        self.ring.trim(now)
        self._shelf.trim(now)
        if self._sender.busy:
            return
        if beats := self._lanes.beats(now):
            self._flushed_from = self.position
            self._sender.send(beats, self._beaten)

    def _take_pulse(self, _subject: str, payload: bytes) -> None:
        if not self.degradation.take(payload) and self.pulse.take(payload):
            self._schedule()

    def _on_news(self) -> None:
        self.windower.note(self.clock.monotonic())
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is not None or self._sender.busy or self._in_session:
            return
        # Leading edge: a quiet stream's item leaves at once, with whatever arrived in the same read of the socket.
        wait = self._rhythm.wait(self.clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(wait, self._flush_due)

    def _tell_count(self) -> None:
        if not self.pulse.recounted or self._count_timer is not None:
            return
        wait = self._rhythm.count_wait(self.clock.monotonic())
        self._count_timer = asyncio.get_running_loop().call_later(wait, self._count_due)

    def _count_due(self) -> None:
        self._count_timer = None
        if self.pulse.recounted:
            self._schedule()

    def _flush_due(self) -> None:
        self._timer = None
        if self._rhythm.long:
            self._in_session = True
            self._recess.end(self._flush)
        else:
            self._flush()

    def _flush(self) -> None:
        if self._sender.busy:
            # Heartbeats are on their way; what is due is looked at when they are done.
            self._adjourn()
            return
        try:
            self._send()
        except Exception:
            # Posts would begin late for ever, and nothing be flushed again.
            self._adjourn()
            raise

    def _send(self) -> None:
        self._rhythm.last = now = self.clock.monotonic()
        self._flushed_from = self.position
        window = self._window(now)
        # What is left out of a backlog is told by cohorts as well, whatever the row in force.
        self._lanes.sample(self.degradation.in_force.samples or (window is not None and bool(window.cuts)))
        self._sender.send(self._lanes.bytes_for(window, self.pulse.news(), now), self._sent)

    def _adjourn(self) -> None:
        if self._in_session:
            self._in_session = False
            self._recess.begin()

    def _window(self, now: float) -> Window | None:
        windower = self.windower
        if windower.rewrite_due:
            windower.rewrite_due = False
            self.ring.rewrite(windower.reason_of)
            self._shelf.rewrite(windower.reason_of)
        if not windower.dirty:
            return None
        self._sending_since = windower.waiting_since
        policy, waiting, shedding = self.degradation.in_force, windower.waiting, windower.shedding
        window = windower.flush(now, policy.items, share=policy.share, per_s=policy.per_s)
        self._left_over = windower.dirty
        if windower.shedding:
            metrics.SHED.inc()
            if not shedding:
                log.warning("more waits than is kept: comments are left out", stream_id=self.stream_id, waiting_bytes=waiting)
        self.ring.append(window)
        metrics.WINDOWS.inc()
        self._flushed.set()
        self._flushed = asyncio.Event()
        return window

    def _sent(self) -> None:
        now = self.clock.monotonic()
        self._adjourn()
        interval_ms = self.degradation.in_force.interval_ms
        posts, viewers = self._recess.busy, len(self.viewers)
        self._rhythm.flushed(now, interval_ms / 1000, viewers=viewers, left_over=self._left_over, posts=posts)
        self._left_over = False
        if self._sending_since is not None:
            self._slowest_s = max(self._slowest_s, now - self._sending_since)
            self._sending_since = None
        self._beaten()

    def _beaten(self) -> None:
        if self.windower.dirty or self.pulse.due:
            self._schedule()
        else:
            self._tell_count()

    def _fell_short(self, viewer: Viewer, took: int, data: bytes) -> None:
        """A live viewer did not take all of a write: the rest waits for it, and what follows is in the ring."""
        if viewer.roll is not None:
            viewer.roll.discard(viewer)
        viewer.position = self.position
        if took < 0:
            viewer.transport.abort()
            return
        metrics.SKIPPED.inc()
        viewer.write(memoryview(data)[took:] if took else data)
        if not viewer.paused:
            self.on_returned(viewer)
