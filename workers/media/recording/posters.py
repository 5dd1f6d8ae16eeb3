"""The newest picture of each live stream, every half a minute, for as little as it can cost.

One short ffmpeg at a time, which decodes one keyframe of the smallest rendition; after each, a rest of ten times as long, so
that all posters together take less than a tenth of a core; none while the machine is loaded.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from infra.clock import Clock
from infra.errors import Unavailable
from infra.objects.contract import ObjectStore
from infra.telemetry import logs, metrics
from workers.media.broadcast import Broadcast
from workers.media.ffmpeg import FfmpegFailed
from workers.media.recording import names
from workers.media.recording.fragments import keyframe
from workers.media.recording.pictures import poster
from workers.media.streams import BroadcastRegistry

EVERY_S = 30.0
REST = 10
TICK_S = 1.0
WIDTH = 640
#: Processes that want to run, per core, above which there are no posters.
MOST_LOAD = 2.0


class Posters:
    """Of the streams in *broadcasts*."""

    def __init__(
        self,
        *,
        broadcasts: Mapping[str, Broadcast],
        home: ObjectStore,
        registry: BroadcastRegistry,
        program: Path,
        clock: Clock,
    ) -> None:
        self._broadcasts = broadcasts
        self._home = home
        self._registry = registry
        self._program = program
        self._clock = clock
        self._made: dict[str, float] = {}
        self._told: set[str] = set()
        self._log = logs.get(__name__)

    async def run(self) -> None:
        """Make them for ever."""
        while True:
            began = self._clock.monotonic()
            made = await self.round()
            await asyncio.sleep(max(TICK_S, REST * (self._clock.monotonic() - began) if made else 0))

    async def round(self) -> bool:
        """Make the one that is due for the longest; tells whether there was one."""
        for gone in self._made.keys() - self._broadcasts.keys():
            del self._made[gone]
            self._told.discard(gone)
        now = self._clock.monotonic()
        due = [each for each in self._broadcasts if self._made.get(each, -EVERY_S) + EVERY_S <= now]
        if not due or os.getloadavg()[0] > MOST_LOAD * (os.cpu_count() or 1):
            return False
        for stream_id in sorted(due, key=lambda each: self._made.get(each, 0.0)):
            broadcast = self._broadcasts[stream_id]
            found = broadcast.publication.picture() if broadcast.publisher is not None else None
            picture = keyframe(found[1], 0) if found is not None else None
            if found is None or picture is None:
                continue
            self._made[stream_id] = now
            await self._make(stream_id, broadcast, found[0], picture)
            return True
        return False

    async def _make(self, stream_id: str, broadcast: Broadcast, init: bytes, picture: bytes) -> None:
        try:
            made = await poster(self._program, init, picture, WIDTH)
            if broadcast.lease is None or not broadcast.lease.held or broadcast.ended:
                return
            await self._home.put(f"{stream_id}/{names.POSTER}", made)
            if stream_id not in self._told:
                await self._registry.pictured(stream_id)
                self._told.add(stream_id)
        except (FfmpegFailed, Unavailable) as error:
            metrics.FINISHING_FAILED.labels("poster").inc()
            self._log.warning("no poster", stream_id=stream_id, error=str(error))
