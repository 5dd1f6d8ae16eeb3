"""One replay's connection: a viewer with a clock of its own. No task and no page: positions and moments alone."""

import asyncio
from typing import TYPE_CHECKING

from gateway.fanout.viewer import Viewer
from gateway.replay.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable


class ReplayViewer(Viewer):
    """Is in its stream's audience, which counts it, ends it when its credential does, and sends it away; never live in it."""

    __slots__ = ("cue", "loading", "on_gone", "on_ready", "timeline", "written")

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        # The audience brings nobody forward who is.
        self.busy = True
        self.timeline = Timeline(0, 0, 1)
        #: When its turn is: `gateway.replay.cues`.
        self.cue: float | None = None
        #: Whether a page is being read for it.
        self.loading = False
        #: When it was last written to, for heartbeats and for what is gathered.
        self.written = 0.0
        self.on_ready: Callable[[ReplayViewer], None] = lambda _: None
        self.on_gone: Callable[[ReplayViewer], None] = lambda _: None

    def resume_writing(self) -> None:
        """It has taken everything: its next turn."""
        self.paused = False
        self.on_ready(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whoever ended it."""
        super().connection_lost(exc)
        self.on_gone(self)
