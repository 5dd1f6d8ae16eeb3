"""What the ring does not hold: read from log and store, one read for all viewers that it serves.

One read at a time per stream. What was read goes before the ring's first window where it reaches it and there is room, or else
onto the stream's shelf, and viewers are written to from there, as from the ring: ten thousand viewers at a thousand positions
cost a handful of reads, and none of them holds more than one write.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.fanout.audience import Audience
from gateway.fanout.viewer import Viewer
from gateway.fanout.window import Window
from gateway.fanout.windower import MOST_BYTES
from gateway.fanout.wire import deliveries
from gateway.ranges import Missing
from gateway.shown import Shown
from infra.errors import Unavailable
from infra.telemetry import logs, metrics

log = logs.get(__name__)

#: Items of one read.
READ = 1000
#: Items of one delivery made of it, some 7 kB: a link that breaks after twice that still makes progress. Of the longest fewer,
#: as in any other window.
CHUNK = 25
#: Reads under way at once, over all streams.
READS = 16
#: How often, and how long apart, a read is tried while broker or store is away, before the client is told to come back.
TRIES = 60
TRY_S = 1.0


class Backlog:
    """One per gateway."""

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], object], done: Callable[[Viewer], None]) -> None:
        """*done* is given each viewer that was brought forward, or that finds what it needs in the ring now."""
        self._spawn = spawn
        self._done = done
        self._needing: dict[Audience, list[Viewer]] = {}
        self._reads = asyncio.Semaphore(READS)

    def need(self, viewer: Viewer, audience: Audience) -> None:
        """Bring *viewer* forward from where the ring does not reach."""
        if audience in self._needing:
            self._needing[audience].append(viewer)
            return
        self._needing[audience] = [viewer]
        self._spawn(self._serve(audience))

    async def check(self, viewer: Viewer, audience: Audience) -> None:
        """Recognise a position that is not of this log: above its end, or from before it was re-created."""
        try:
            async with self._reads:
                await self._check(viewer, audience)
        except Unavailable as error:
            log.warning("viewer sent away", stream_id=audience.stream_id, cause=str(error))
            viewer.end()
        except BaseException:
            viewer.end()
            raise
        self._done(viewer)

    async def _serve(self, audience: Audience) -> None:
        tries = 0
        try:
            while waiting := [viewer for viewer in self._needing[audience] if not viewer.closed]:
                self._needing[audience] = []
                try:
                    async with self._reads:
                        await self._read(audience, waiting)
                    tries = 0
                except Unavailable as error:
                    tries += 1
                    await self._wait(audience, waiting, tries, error)
                except BaseException:
                    # They would sit there in silence for ever.
                    self._needing[audience] += waiting
                    raise
        finally:
            for viewer in self._needing.pop(audience):
                viewer.end()

    async def _wait(self, audience: Audience, waiting: list[Viewer], tries: int, error: Unavailable) -> None:
        if tries > TRIES:
            log.warning("viewers sent away: not caught up", cause=str(error), stream_id=audience.stream_id)
            for viewer in waiting:
                viewer.end()
            return
        for viewer in waiting:
            viewer.send(viewer.wire.HEARTBEAT)
        self._needing[audience] += waiting
        await asyncio.sleep(TRY_S)

    async def _read(self, audience: Audience, waiting: list[Viewer]) -> None:
        """Read on from the position of who waits longest; everybody whose position lies in what was read is served."""
        after = waiting[0].position
        start = audience.ring.start
        until = audience.position if start is None else start
        if after < until:
            items, missing = await audience.history.range(audience.record, after, until, READ, audience.windower.removals)
            metrics.RESUMED.labels("history").inc()
            end = items[-1].seq if len(items) >= READ else until
            floor = missing.to if missing is not None else after
            if after == 0 and missing is None:
                # From 0, "everything", not from below the log's incarnation, where no position is: it would hide a reset.
                floor = items[0].seq - 1 if items else until
            for viewer in waiting:
                if not viewer.closed and after <= viewer.position < floor:
                    skip(viewer, items, missing, floor)
            if floor < end:
                audience.shelve(windows(floor, end, audience.as_decided(items), audience.clock.monotonic()))
        for viewer in waiting:
            self._done(viewer)

    async def _check(self, viewer: Viewer, audience: Audience) -> None:
        last_id = viewer.position
        state = await audience.history.state(audience.record)
        if last_id > max(state.last, audience.position):
            # The state may be a second old, and another gateway's viewer may know a later item.
            state = await audience.history.fresh_state(audience.record)
        if last_id > max(state.last, audience.position):
            log.info("cursor above the log", log=audience.follower.log, last_id=last_id)
            items, previous = await audience.history.newest(audience.record, audience.position, 50, audience.windower.removals)
            previous = previous if items else audience.position
            _reset(viewer, min(1, previous), previous)
        elif last_id < state.incarnation:
            _reset(viewer, last_id + 1, state.incarnation - 1)


def windows(after: int, until: int, items: list[Shown], now: float) -> list[Window]:
    """Items with `after < seq <= until` as windows that chain, of at most `CHUNK` items and about `MOST_BYTES` each."""
    made: list[Window] = []
    part: list[Shown] = []
    size = 0
    for item in items:
        if item.seq <= after:
            continue
        if part and (len(part) == CHUNK or size + len(item.data) > MOST_BYTES):
            made.append(Window(made[-1].to if made else after, part[-1].seq, tuple(part), now))
            part, size = [], 0
        part.append(item.kept(item.weight))
        size += len(item.data)
    return [*made, Window(made[-1].to if made else after, until, tuple(part), now)]


def skip(viewer: Viewer, items: list[Shown], missing: Missing | None, to: int) -> None:
    """Bring a viewer to *to*, between which and its position nothing is, or nothing is any more but what the store has."""
    if missing is None:
        viewer.send(viewer.wire.comments(viewer.position, to, ()))
    else:
        if missing.from_ - 1 > viewer.position:
            stored = [item for item in items if viewer.position < item.seq < missing.from_]
            viewer.send(deliveries(viewer.wire, viewer.position, missing.from_ - 1, stored))
            viewer.position = missing.from_ - 1
        metrics.GAPS.labels(missing.reason).inc()
        viewer.send(viewer.wire.gap(viewer.position + 1, missing.to, missing.reason))
    viewer.position = to


def _reset(viewer: Viewer, from_: int, to: int) -> None:
    metrics.GAPS.labels("reset").inc()
    viewer.send(viewer.wire.gap(from_, to, "reset"))
    viewer.position = to
