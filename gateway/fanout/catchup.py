"""Brings a viewer from a position to the live edge: the ring, then the log, then the store.

Replay and live meet in one place: when a viewer's position equals the audience's, it joins the live ones in the same
turn of the loop, so nothing can come in between. Concurrent reads of one range are joined into one.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from gateway.fanout import sse
from gateway.fanout.audience import Audience
from gateway.fanout.viewer import Viewer
from gateway.shown import Shown
from infra.errors import Unavailable
from infra.telemetry import logs, metrics
from schemas.subjects import live_log

log = logs.get(__name__)

#: Windows written in one go before the viewer's buffer is looked at.
RING_STEP = 64
#: Items of one delivery read from log or store.
CHUNK = 200
#: Reads of log and store under way at once, over all viewers.
READS = 16
#: How often, and how long apart, a read is tried while broker or store is away, before the client is told to come back.
TRIES = 60
TRY_S = 1.0


class Catchup:
    """One per gateway."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, asyncio.Future[Any]] = {}
        self._reads = asyncio.Semaphore(READS)

    async def start(self, viewer: Viewer, audience: Audience, last_id: int | None, backfill: int) -> None:
        """Give a new viewer its first delivery, bring it to the live edge and leave it there.

        Raises:
            Unavailable: broker or store is away; nothing was written yet that would make the chain begin.
        """
        if last_id is None:
            await self._backfill(viewer, audience, backfill)
        else:
            viewer.position = last_id
            await self._check(viewer, audience, last_id)
        await self.bring(viewer, audience)

    async def bring(self, viewer: Viewer, audience: Audience) -> None:
        """From the viewer's position to the live edge."""
        tries = 0
        while not viewer.closed:
            await viewer.drained()
            if viewer.position > audience.position:
                # It was on a gateway that is ahead of this one.
                await audience.reached(viewer.position)
            if self._from_ring(viewer, audience):
                return
            if viewer.paused:
                continue
            try:
                await self._from_history(viewer, audience)
                tries = 0
            except Unavailable as error:
                tries += 1
                if tries > TRIES:
                    log.warning("viewer sent away: not caught up", cause=str(error), stream_id=audience.stream_id)
                    viewer.end()
                    return
                viewer.send(sse.HEARTBEAT)
                await asyncio.sleep(TRY_S)

    def _from_ring(self, viewer: Viewer, audience: Audience) -> bool:
        """Write from the ring as far as the buffer takes it; True when the viewer is live (or gone)."""
        while not viewer.closed:
            if viewer.position == audience.position:
                audience.live.add(viewer)
                return True
            windows = audience.ring.after(viewer.position, RING_STEP)
            if not windows or viewer.paused:
                return False
            metrics.RESUMED.labels("ring").inc()
            for window in windows:
                if viewer.position == window.prev:
                    viewer.write(window.plain, window.deflated)
                else:
                    viewer.send(window.after(viewer.position))
                viewer.position = window.to
        return True

    async def _from_history(self, viewer: Viewer, audience: Audience) -> None:
        start = audience.ring.start
        after = viewer.position
        until = audience.position if start is None or start <= after else start
        key = ("range", audience.stream_id, after, until)
        items, missing = await self._joined(
            key,
            lambda: audience.history.range(audience.record, after, until, CHUNK, audience.windower.removals),
        )
        metrics.RESUMED.labels("history").inc()
        if viewer.closed:
            return
        if missing is not None and (not items or missing.from_ < items[0].seq):
            metrics.GAPS.labels(missing.reason).inc()
            self._deliver(viewer, [item for item in items if item.seq < missing.from_], missing.from_ - 1)
            viewer.send(sse.gap(missing.from_, missing.to, missing.reason))
            viewer.position = missing.to
            items = [item for item in items if item.seq > missing.to]
        self._deliver(viewer, items, items[-1].seq if len(items) >= CHUNK else until)

    def _deliver(self, viewer: Viewer, items: list[Shown], to: int) -> None:
        if to > viewer.position:
            viewer.send(sse.comments(viewer.position, to, (item.data for item in items)))
            viewer.position = to

    async def _backfill(self, viewer: Viewer, audience: Audience, count: int) -> None:
        with contextlib.suppress(Unavailable):
            await self._joined(("tail", audience.stream_id), audience.catch_tail)
        until = audience.position
        previous, items = until, []
        if count:
            items, previous = await self._joined(
                ("backfill", audience.stream_id, until, count),
                lambda: audience.history.newest(audience.record, until, count, audience.windower.removals),
            )
            if not items:
                previous = until
        viewer.send(sse.comments(previous, until, (item.data for item in items), backfill=True))
        viewer.position = until

    async def _check(self, viewer: Viewer, audience: Audience, last_id: int) -> None:
        """Recognise a position that is not of this log: above its end, or from before it was re-created."""
        if last_id == 0 or (audience.ring.after(last_id, 1) and last_id <= audience.position):
            return
        state = await audience.history.state(audience.record)
        if last_id > max(state.last, audience.position):
            # The state may be a second old, and another gateway's viewer may know a later item.
            state = await audience.history.fresh_state(audience.record)
        if last_id > max(state.last, audience.position):
            log.info("cursor above the log", log=live_log(audience.record.shard), last_id=last_id)
            items, previous = await audience.history.newest(audience.record, audience.position, 50, audience.windower.removals)
            previous = previous if items else audience.position
            self._reset(viewer, min(1, previous), previous)
        elif last_id < state.incarnation:
            self._reset(viewer, last_id + 1, state.incarnation - 1)

    def _reset(self, viewer: Viewer, from_: int, to: int) -> None:
        metrics.GAPS.labels("reset").inc()
        viewer.send(sse.gap(from_, to, "reset"))
        viewer.position = to

    async def _joined(self, key: Hashable, read: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what *read* returns
        """Run *read*, or wait for the one under way with the same key."""
        if (flight := self._flights.get(key)) is not None:
            return await asyncio.shield(flight)
        flight = asyncio.ensure_future(self._bounded(read))
        self._flights[key] = flight
        flight.add_done_callback(lambda _: self._flights.pop(key, None))
        return await asyncio.shield(flight)

    async def _bounded(self, read: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what *read* returns
        async with self._reads:
            return await read()
