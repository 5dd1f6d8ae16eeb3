"""Pages out of log and store: one read for all viewers who need it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from weakref import WeakValueDictionary

from gateway.fanout.audience import Audience
from gateway.ranges import Missing
from gateway.replay.library import Library
from gateway.replay.page import Page
from gateway.replay.viewer import ReplayViewer
from gateway.shown import Shown
from infra.errors import Unavailable
from infra.telemetry import logs, metrics

log = logs.get(__name__)

#: Items of one page: what is read ahead of a viewer, at most.
PAGE = 200
#: Bytes of pages that all replays of a process share: some 80,000 items.
KEPT_BYTES = 64 * 1024 * 1024
#: Reads under way at once, over all streams.
READS = 16
#: How often, and how long apart, a read is tried while broker or store is away, before the client is told to come back.
TRIES = 60
TRY_S = 1.0


class Reading:
    """One per gateway."""

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], object], done: Callable[[ReplayViewer], None]) -> None:
        """*done* is given each viewer whose page is in the library."""
        self.library = Library(KEPT_BYTES)
        self._spawn = spawn
        self._done = done
        self._waiting: dict[tuple[str, int], list[ReplayViewer]] = {}
        #: Stream -> who knows what was decided since its pages were read.
        self._informed: WeakValueDictionary[str, Audience] = WeakValueDictionary()
        self._slots = asyncio.Semaphore(READS)

    def open(self, audience: Audience) -> None:
        """Read for *audience* from now on; what was read for one that is gone may be out of date."""
        if self._informed.get(audience.stream_id) is not audience:
            self.library.forget(audience.stream_id)
            self._informed[audience.stream_id] = audience

    def page(self, audience: Audience, position: int) -> Page | None:
        """What leads on from *position*, where it is here: in the library, or on the audience's ring."""
        if (found := self.library.at(audience.stream_id, position)) is not None:
            return found
        windows = audience.ring.after(position, 1)
        return Page(windows[0].prev, windows[0].to, windows[0].items) if windows else None

    def need(self, viewer: ReplayViewer, audience: Audience) -> None:
        """Read the page after the viewer's position."""
        viewer.loading = True
        key = audience.stream_id, viewer.position
        if key in self._waiting:
            self._waiting[key].append(viewer)
            return
        self._waiting[key] = [viewer]
        self._spawn(self._serve(audience, viewer.position))

    async def _serve(self, audience: Audience, after: int) -> None:
        key, tries = (audience.stream_id, after), 0
        try:
            while True:
                try:
                    async with self._slots:
                        await self._read(audience, after)
                    break
                except Unavailable as error:
                    tries += 1
                    if tries > TRIES:
                        log.warning("replays sent away: nothing to read", cause=str(error), stream_id=audience.stream_id)
                        raise
                    for viewer in self._waiting[key]:
                        viewer.send(viewer.wire.HEARTBEAT)
                await asyncio.sleep(TRY_S)
        except BaseException as error:
            # They would sit there in silence for ever.
            for viewer in self._waiting.pop(key):
                viewer.end()
            if not isinstance(error, Unavailable):
                raise
            return
        for viewer in self._waiting.pop(key):
            viewer.loading = False
            self._done(viewer)

    async def _read(self, audience: Audience, after: int) -> None:
        stream_id, end = audience.stream_id, audience.position
        until = min(self.library.next_after(stream_id, after) or end, end)
        if self.page(audience, after) is not None or after >= until:
            return
        items, missing = await audience.history.range(audience.record, after, until, PAGE, audience.windower.removals)
        metrics.RESUMED.labels("history").inc()
        if self._informed.get(stream_id) is not audience:
            # All its viewers have left meanwhile.
            return
        to = items[-1].seq if len(items) >= PAGE else until
        for page in _pages(after, to, items, missing):
            self.library.put(stream_id, page)


def _pages(after: int, to: int, items: list[Shown], missing: Missing | None) -> list[Page]:
    """What was read, and between its parts what is lost."""
    kept = [item.kept(item.weight) for item in items]
    if missing is None or missing.from_ > to:
        return [Page(after, to, tuple(kept))]
    found = [Page(missing.from_ - 1, missing.to, (), missing.reason)]
    if missing.from_ - 1 > after:
        found.insert(0, Page(after, missing.from_ - 1, tuple(item for item in kept if item.seq < missing.from_)))
    if to > missing.to:
        found.append(Page(missing.to, to, tuple(item for item in kept if item.seq > missing.to)))
    return found
