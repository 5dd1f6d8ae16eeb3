"""The first delivery of viewers that bring no position: the newest items, read and encoded once for all who come together."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from gateway.fanout.audience import Audience
from gateway.fanout.lanes import HEARTBEAT_S
from gateway.fanout.viewer import Viewer
from gateway.fanout.wire import Wire, deliveries
from gateway.shown import Shown
from infra.errors import Unavailable
from infra.telemetry import logs

log = logs.get(__name__)

#: More than so many together, and the next ones are greeted no sooner than this after them: each greeting asks the log for its
#: tail, and where thousands come in a second that was a round trip for every three of them. What the greeting itself took is
#: part of it: those who come have waited that long, and a client that opens a few hundred at a time waits with them.
CROWD = 8
GATHER_S = 0.003
#: For so long a first delivery waits for what the log held when its viewer came; what is read later than that is news to it. A
#: stream that cannot be repaired, or is far behind, would keep everybody who comes in silence.
TAIL_S = 1.0
#: Who waits longer, for the tail or the store, has its head meanwhile.
HEAD_S = 1.0


class Greetings:
    """One per gateway."""

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], object], done: Callable[[Viewer], None]) -> None:
        """*done* is given each viewer that has its first delivery."""
        self._spawn = spawn
        self._done = done
        self._waiting: dict[Audience, list[tuple[Viewer, int]]] = {}
        #: When those who wait for a greeting are looked at, and the audiences whose greeting takes long.
        self._patience: dict[Audience, asyncio.TimerHandle] = {}
        self._late: set[Audience] = set()

    def greet(self, viewer: Viewer, audience: Audience, backfill: int) -> None:
        """Send *viewer* the newest *backfill* items; it is at the `to` of that delivery afterwards."""
        if audience in self._waiting:
            self._waiting[audience].append((viewer, backfill))
            if audience in self._late:
                viewer.begin()
            return
        self._waiting[audience] = [(viewer, backfill)]
        self._spawn(self._greet(audience))

    async def _greet(self, audience: Audience) -> None:
        try:
            while coming := self._waiting[audience]:
                self._waiting[audience] = []
                began = monotonic()
                self._patience[audience] = asyncio.get_running_loop().call_later(HEAD_S, self._keep, audience, coming)
                try:
                    await self._all(audience, coming)
                except Unavailable as error:
                    log.warning("viewers sent away", stream_id=audience.stream_id, cause=str(error), viewers=len(coming))
                finally:
                    self._patience.pop(audience).cancel()
                    self._late.discard(audience)
                    # Whatever went wrong: who was told nothing now would sit there in silence for ever.
                    for viewer, _ in coming:
                        if not viewer.greeted:
                            viewer.end()
                if len(coming) > CROWD:
                    await asyncio.sleep(max(0.0, began + GATHER_S - monotonic()))
        finally:
            for viewer, _ in self._waiting.pop(audience):
                viewer.end()

    def _keep(self, audience: Audience, coming: list[tuple[Viewer, int]]) -> None:
        """Send those who wait their heads, and from then on heartbeats."""
        for viewer, _ in [*coming, *self._waiting[audience]]:
            if audience in self._late:
                viewer.send(viewer.wire.HEARTBEAT)
            else:
                viewer.begin()
        self._late.add(audience)
        self._patience[audience] = asyncio.get_running_loop().call_later(HEARTBEAT_S, self._keep, audience, coming)

    async def _all(self, audience: Audience, coming: list[tuple[Viewer, int]]) -> None:
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(TAIL_S):
                await audience.catch_tail()
        audience.recount()
        until = audience.position
        found: dict[int, tuple[list[Shown], int]] = {}
        for count in {count for _, count in coming}:
            items: list[Shown] = []
            previous = until
            if count:
                # Who comes while the store is away begins with what comes next: it needs no store.
                with contextlib.suppress(Unavailable):
                    items, previous = await audience.history.newest(audience.record, until, count, audience.windower.removals)
            found[count] = audience.as_decided(items), previous if items else until
        frames: dict[tuple[int, Wire, bool, bool], bytes] = {}
        for viewer, count in coming:
            key = count, viewer.wire, viewer.comments_only, viewer.gzip
            if key not in frames:
                items, previous = found[count]
                frame = deliveries(viewer.wire, previous, until, items, backfill=True)
                frames[key] = viewer.encoded(frame if viewer.comments_only else frame + audience.count_frame(viewer.wire))
            viewer.greeted = True
            viewer.write(frames[key])
            viewer.position = until
            self._done(viewer)
