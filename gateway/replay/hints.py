"""Tells replays what was removed behind them: a comment that was played already must not stay on anybody's screen.

The removal's own item comes in its own place, which may be hours away. This event has no id and is no part of the chain.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from gateway.fanout.audience import Audience
from gateway.fanout.window import Window
from gateway.replay.viewer import ReplayViewer

#: Windows looked at in one go: more than a ring's minute holds.
MOST = 1_000
#: Bytes that may wait for a viewer that does not read; past them it is told to come back.
MOST_WAITING = 256 * 1024


class Hints:
    """One per gateway: watches the streams that are replayed, for as long as they are."""

    def __init__(
        self,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        moved: Callable[[ReplayViewer], None],
        restored: Callable[[str], None],
    ) -> None:
        """*moved* is given each viewer of a stream that moved on, *restored* a stream whose comment is shown again."""
        self._spawn = spawn
        self._moved = moved
        self._restored = restored
        self._viewers: dict[Audience, set[ReplayViewer]] = {}
        self._tasks: dict[Audience, asyncio.Task[None]] = {}

    def add(self, viewer: ReplayViewer, audience: Audience) -> None:
        """Watch for *viewer*."""
        self._viewers.setdefault(audience, set()).add(viewer)
        if audience not in self._tasks:
            self._tasks[audience] = self._spawn(self._watch(audience))

    def discard(self, viewer: ReplayViewer, audience: Audience) -> None:
        """Watch for *viewer* no more."""
        viewers = self._viewers.get(audience, set())
        viewers.discard(viewer)
        if not viewers and audience in self._tasks:
            del self._viewers[audience]
            self._tasks.pop(audience).cancel()

    async def _watch(self, audience: Audience) -> None:
        seen = audience.position
        while True:
            await audience.moved()
            windows = audience.ring.after(seen, MOST) or []
            seen = audience.position
            self._tell(audience, windows)
            for viewer in list(self._viewers.get(audience, ())):
                self._moved(viewer)

    def _tell(self, audience: Audience, windows: Iterable[Window]) -> None:
        items = [item for window in windows for item in window.items]
        if any(item.kind == "restored" for item in items):
            self._restored(audience.stream_id)
        hidden = [item for item in items if item.kind in ("removed", "purged")]
        for viewer in list(self._viewers.get(audience, ())) if hidden else ():
            told = [item for item in hidden if item.seq > viewer.position]
            if told and viewer.transport.get_write_buffer_size() > MOST_WAITING:
                viewer.end()
            elif told:
                viewer.send(b"".join(b"event: removed\ndata: %b\n\n" % item.data for item in told))
