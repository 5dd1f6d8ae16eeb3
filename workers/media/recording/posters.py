"""The newest picture of each live stream and its strip so far, every half a minute, for as little as they can cost.

One short ffmpeg at a time, which decodes one keyframe of the smallest rendition, and one that puts small pictures side by
side; after them, a rest of ten times as long, so that all streams together take less than a tenth of a core; none while the
machine is loaded. A strip is what this worker has seen of the stream: one that takes it over begins another.
"""

import asyncio
import os
import shutil
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from infra.clock import Clock
from infra.errors import Unavailable
from infra.objects.contract import ObjectStore
from infra.telemetry import logs, metrics
from schemas.times import rfc3339
from workers.media.broadcast import Broadcast
from workers.media.ffmpeg import FfmpegFailed
from workers.media.recording import names
from workers.media.recording.fragments import keyframe
from workers.media.recording.pictures import cues, tiled, two_sizes
from workers.media.recording.strips import Strip
from workers.media.streams import BroadcastRegistry

EVERY_S = 30.0
#: After a failure.
AGAIN_S = 5.0
REST = 10
TICK_S = 1.0
WIDTH = 640
#: Processes that want to run, per core, above which there are no posters.
MOST_LOAD = 2.0
#: Strips that stay for those who have the cues of a moment ago: caches may keep them for 10 s.
FORMER = 2


class _Shown:
    """What is known of one live stream's pictures; *due* on the monotonic clock."""

    def __init__(self) -> None:
        self.due = float("-inf")
        self.strip = Strip()
        self.files: deque[str] = deque()
        self.told = False


class Posters:
    """Of the streams in *broadcasts*."""

    def __init__(
        self,
        *,
        broadcasts: Mapping[str, Broadcast],
        home: ObjectStore,
        registry: BroadcastRegistry,
        program: Path,
        work: Path,
        clock: Clock,
    ) -> None:
        """*work* is a folder for what is made."""
        self._broadcasts = broadcasts
        self._home = home
        self._registry = registry
        self._program = program
        self._work = work
        self._clock = clock
        self._shown: dict[str, _Shown] = {}
        self._log = logs.get(__name__)

    async def run(self) -> None:
        """Make them for ever."""
        while True:
            began = self._clock.monotonic()
            made = await self.round()
            await asyncio.sleep(max(TICK_S, REST * (self._clock.monotonic() - began) if made else 0))

    async def round(self) -> bool:
        """Make those of the stream that is due for the longest; tells whether there was one."""
        for gone in self._shown.keys() - self._broadcasts.keys():
            del self._shown[gone]
        now = self._clock.monotonic()
        for stream_id in self._broadcasts.keys() - self._shown.keys():
            self._shown[stream_id] = _Shown()
        due = [each for each in self._broadcasts if self._shown[each].due <= now]
        if not due or os.getloadavg()[0] > MOST_LOAD * (os.cpu_count() or 1):
            return False
        for stream_id in sorted(due, key=lambda each: self._shown[each].due):
            broadcast = self._broadcasts[stream_id]
            found = broadcast.publication.picture() if broadcast.publisher is not None else None
            picture = keyframe(found[1], 0) if found is not None else None
            if found is None or picture is None:
                continue
            made = await self._make(stream_id, broadcast, found[0], picture)
            self._shown[stream_id].due = now + (EVERY_S if made else AGAIN_S)
            return True
        return False

    async def _make(self, stream_id: str, broadcast: Broadcast, init: bytes, picture: bytes) -> bool:
        at_ms = self._clock.now_ms()
        try:
            await asyncio.to_thread(_empty, self._work)
            poster, tile = await two_sizes(self._program, init, picture, WIDTH, self._work)
            if not _may(broadcast):
                return True
            await self._home.put(f"{stream_id}/{names.POSTER}", poster)
            await self._strip(stream_id, broadcast, at_ms, tile)
            shown = self._shown[stream_id]
            if not shown.told:
                await self._registry.pictured(stream_id)
                shown.told = True
        except (FfmpegFailed, Unavailable, OSError) as error:
            metrics.FINISHING_FAILED.labels("poster").inc()
            self._log.warning("no poster", stream_id=stream_id, error=str(error))
            return False
        return True

    async def _strip(self, stream_id: str, broadcast: Broadcast, at_ms: int, tile: bytes) -> None:
        """The pictures first, under a name of their own, then the cues, which name them: who has either has both."""
        shown = self._shown[stream_id]
        if not shown.strip.take(at_ms, tile):
            return
        made = await tiled(self._program, shown.strip.tiles)
        if not _may(broadcast):
            return
        file = f"{at_ms}.jpg"
        await self._home.put(f"{stream_id}/{names.LIVE_STRIP}/{file}", made)
        note = f"00:00:00.000 is {rfc3339(shown.strip.begins_ms)}"
        listed = cues(shown.strip.stretches(at_ms + round(EVERY_S * 1000)), file, note)
        await self._home.put(f"{stream_id}/{names.LIVE_STRIP}/{names.LIVE_CUES}", listed)
        shown.files.append(f"{stream_id}/{names.LIVE_STRIP}/{file}")
        if len(shown.files) > FORMER + 1:
            await self._home.delete([shown.files.popleft()])


def _may(broadcast: Broadcast) -> bool:
    """Whether this worker may still write of it."""
    return broadcast.lease is not None and broadcast.lease.held and not broadcast.ended


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
