"""Brings viewers from their positions to the live edge: from the ring, which log and store refill.

Replay and live meet in one place: when a viewer's position equals the audience's, it joins its lane in the same turn of
the loop, so nothing can come in between. Viewers take turns, one write each, and all of them together leave the loop
most of its time: ten thousand who come back at once neither wait for one another nor hold up those who are live.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

from gateway.fanout.audience import Audience
from gateway.fanout.backlog import Backlog
from gateway.fanout.greeting import Greetings
from gateway.fanout.lanes import HEARTBEAT_S
from gateway.fanout.viewer import Viewer
from gateway.fanout.window import Window
from infra.telemetry import metrics

#: Windows, and about bytes, of one write.
STEP_WINDOWS = 64
STEP_BYTES = 64 * 1024
#: The loop's time for this at a stretch.
TURN_S = 0.003

Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Catchup:
    """One per gateway."""

    def __init__(self, spawn: Spawn) -> None:
        """*spawn* runs work in the background for as long as the gateway lives."""
        self._spawn = spawn
        self._queue: deque[Viewer] = deque()
        self._turning = False
        self._backlog = Backlog(spawn, self.queue)
        self._greetings = Greetings(spawn, self.queue)

    def welcome(self, viewer: Viewer, audience: Audience, last_id: int | None, backfill: int) -> None:
        """Give a new viewer its first delivery, bring it to the live edge and leave it there."""
        viewer.busy = True
        if last_id is None:
            self._greetings.greet(viewer, audience, backfill)
            return
        viewer.position = last_id
        if last_id == 0 or (last_id <= audience.position and audience.covers(last_id)):
            self.queue(viewer)
        else:
            viewer.begin()
            self._spawn(self._backlog.check(viewer, audience))

    def queue(self, viewer: Viewer) -> None:
        """Bring *viewer* forward from its position."""
        viewer.busy = True
        self._queue.append(viewer)
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        until = perf_counter() + TURN_S
        while self._queue:
            self._advance(self._queue.popleft())
            if perf_counter() > until:
                break
        if self._queue:
            asyncio.get_running_loop().call_soon(self._turn)
        else:
            self._turning = False

    def _advance(self, viewer: Viewer) -> None:
        """One write, or the step into the lane."""
        audience = viewer.audience
        if viewer.closed or viewer.paused or audience is None:
            # A paused viewer is queued again when it has taken everything.
            viewer.busy = False
        elif viewer.position == audience.position:
            self._arrive(viewer, audience)
        elif viewer.position > audience.position:
            # It was on a gateway that is ahead of this one.
            self._spawn(self._ahead(viewer, audience))
        elif windows := audience.after(viewer.position, STEP_WINDOWS):
            _write(viewer, windows)
            self._queue.append(viewer)
        else:
            viewer.begin()
            self._backlog.need(viewer, audience)

    def _arrive(self, viewer: Viewer, audience: Audience) -> None:
        if not viewer.greeted:
            # The next change of the count may be long in coming.
            viewer.greeted = True
            if viewer.comments_only:
                viewer.begin()
            else:
                viewer.send(audience.count_frame(viewer.wire))
        viewer.busy = False
        if not viewer.paused:
            audience.go_live(viewer)

    async def _ahead(self, viewer: Viewer, audience: Audience) -> None:
        while not viewer.closed:
            try:
                await asyncio.wait_for(audience.reached(viewer.position), HEARTBEAT_S)
                break
            except TimeoutError:
                # The broker is away, or slow to say.
                viewer.send(viewer.wire.HEARTBEAT)
        self.queue(viewer)


def _write(viewer: Viewer, windows: list[Window]) -> None:
    metrics.RESUMED.labels("ring").inc()
    parts: list[bytes] = []
    size = 0
    for window in windows:
        cut = window.cut(viewer.cohort)
        if viewer.position == window.prev:
            part = cut.packed(viewer.wire) if viewer.gzip else cut.frame(viewer.wire)
        else:
            part = viewer.encoded(cut.after(viewer.position, viewer.wire))
        if parts and size + len(part) > STEP_BYTES:
            break
        parts.append(part)
        size += len(part)
        viewer.position = window.to
    viewer.write(b"".join(parts))
