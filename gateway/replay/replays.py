"""All replays of a process: whoever's moment has come gets what is due, in turns.

A viewer holds no timer and no items: its next moment stands in a heap that one timer of the loop serves, and items are looked
up in pages that all viewers share. What is due is what the timeline says, so nothing is ever early.
"""

import asyncio
from collections.abc import Coroutine
from time import perf_counter
from typing import Any

from gateway.fanout.audience import Audience
from gateway.fanout.lanes import HEARTBEAT_S
from gateway.replay.cues import Cues
from gateway.replay.hints import Hints
from gateway.replay.page import Page
from gateway.replay.reading import Reading
from gateway.replay.start import Start
from gateway.replay.timeline import Timeline
from gateway.replay.viewer import ReplayViewer
from gateway.shown import Shown
from infra.clock import Clock
from infra.telemetry import logs, metrics

log = logs.get(__name__)

#: Deliveries of one viewer are at least so far apart: at sixteen times a busy stream's pace each item would be a write.
GATHER_S = 0.05
#: The loop's time for this at a stretch.
TURN_S = 0.003
#: The log of a stream that has ended is known to its end after so long; until then its last items may be on their way.
SETTLED_MS = 5_000
#: After its end a replay is not asked for again by an EventSource that was not closed, but once a day.
NEVER_MS = 86_400_000


class Replays:
    """One per gateway."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._cues: Cues[ReplayViewer] = Cues()
        self._reading = Reading(self._spawn, self._hurry)
        self._hints = Hints(self._spawn, self._hurry, self._reading.library.forget)
        self._timer: asyncio.TimerHandle | None = None
        self._timed = 0.0

    def play(self, viewer: ReplayViewer, audience: Audience, start: Start, speed: float) -> None:
        """Give an admitted viewer its first delivery, and from now on what is due."""
        now = self._clock.monotonic()
        viewer.timeline = Timeline(now, start.from_ms, speed)
        viewer.on_ready, viewer.on_gone, viewer.written = self._hurry, self._gone, now
        viewer.begin()
        if start.reset is not None:
            metrics.GAPS.labels("reset").inc()
            viewer.send(viewer.wire.gap(*start.reset, "reset"))
        if start.previous is not None:
            items = [item.data for item in audience.as_decided(list(start.items))]
            viewer.send(viewer.wire.comments(start.previous, start.position, items, backfill=True))
        viewer.position = start.position
        self._reading.open(audience)
        self._hints.add(viewer, audience)
        self._hurry(viewer)

    def turn(self) -> None:
        """Serve whoever's moment has come, for a few milliseconds of the loop's time."""
        until = perf_counter() + TURN_S
        while (viewer := self._cues.due(self._clock.monotonic())) is not None:
            try:
                self._advance(viewer)
            except Exception:
                # One viewer's fault must not end the turns of all others.
                log.exception("a replay failed")
                viewer.end()
            if perf_counter() > until:
                break
        self._disarm()
        self._arm()

    async def stop(self) -> None:
        """Stop reading and watching; the viewers must be gone or ended."""
        self._disarm()
        for task in list(self._tasks):
            task.cancel()

    def _advance(self, viewer: ReplayViewer) -> None:
        """One delivery, or whatever is in its way."""
        audience = viewer.audience
        if viewer.closed or viewer.paused or viewer.loading or audience is None:
            return
        now = self._clock.monotonic()
        if viewer.position >= audience.position:
            self._at_the_end(viewer, audience, now)
            return
        page = self._reading.page(audience, viewer.position)
        if page is None:
            self._beat(viewer, now)
            self._reading.need(viewer, audience)
            return
        due, following = _due(viewer, page, audience.record.ended_at, now)
        if following is None:
            self._deliver(viewer, audience, page, due, page.to)
        elif due:
            self._deliver(viewer, audience, page, due, due[-1].seq)
        else:
            self._beat(viewer, now)
            self._cue(viewer, min(following, viewer.written + HEARTBEAT_S))
            return
        viewer.written = now
        self._cue(viewer, now if following is None else now + GATHER_S)

    def _deliver(self, viewer: ReplayViewer, audience: Audience, page: Page, due: list[Shown], to: int) -> None:
        if page.lost:
            metrics.GAPS.labels(page.lost).inc()
            viewer.send(viewer.wire.gap(viewer.position + 1, to, page.lost))
        else:
            # Read a moment ago, decided on now.
            items = (item.data for item in audience.as_decided(due))
            viewer.send(viewer.wire.comments(viewer.position, to, items))
        viewer.position = to

    def _at_the_end(self, viewer: ReplayViewer, audience: Audience, now: float) -> None:
        """Everything was delivered that there is: the end, or the present, which goes on."""
        ended_at = audience.record.ended_at if audience.record.status == "ended" else None
        if ended_at is None:
            self._beat(viewer, now)
            self._cue(viewer, viewer.written + HEARTBEAT_S)
        elif (left_ms := ended_at + SETTLED_MS - self._clock.now_ms()) > 0:
            self._beat(viewer, now)
            self._cue(viewer, min(now + left_ms / 1000, viewer.written + HEARTBEAT_S))
        else:
            viewer.send(viewer.wire.event("end", {"last": viewer.position}) + viewer.wire.retry(NEVER_MS))
            viewer.end(come_back=False)

    def _beat(self, viewer: ReplayViewer, now: float) -> None:
        if now - viewer.written >= HEARTBEAT_S:
            viewer.send(viewer.wire.HEARTBEAT)
            viewer.written = now

    def _hurry(self, viewer: ReplayViewer) -> None:
        """Its turn is now."""
        at = self._clock.monotonic()
        if viewer.cue is None or viewer.cue > at:
            self._cue(viewer, at)

    def _cue(self, viewer: ReplayViewer, at: float) -> None:
        self._cues.put(viewer, at)
        self._arm()

    def _arm(self) -> None:
        at = self._cues.next()
        if self._timer is not None and at is not None and self._timed <= at:
            return
        self._disarm()
        if at is not None:
            # Never before its moment: the loop rounds to milliseconds, and one that is woken early is only woken again.
            wait = max(0.0, at - self._clock.monotonic())
            self._timed = at
            self._timer = asyncio.get_running_loop().call_later(wait, self.turn)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _gone(self, viewer: ReplayViewer) -> None:
        self._cues.drop(viewer)
        if viewer.audience is not None:
            self._hints.discard(viewer, viewer.audience)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background work failed", exc_info=error)


def _due(viewer: ReplayViewer, page: Page, ended_at: int | None, now: float) -> tuple[list[Shown], float | None]:
    """What of *page* is due at *now*, and when what follows is (`None`: nothing follows in it).

    What the log took after the stream's end (late removals, the recording) plays at the end: nobody waits for days.
    """
    due: list[Shown] = []
    for item in page.items:
        if item.seq <= viewer.position:
            continue
        at_ms = item.at_ms if ended_at is None else min(item.at_ms, ended_at)
        at = viewer.timeline.due(at_ms)
        if at > now:
            return due, at
        due.append(item)
    return due, None
