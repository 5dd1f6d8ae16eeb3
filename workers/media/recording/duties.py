"""What is to be done of streams that have ended: finish their recordings, let go of them in time, and of all that is deleted.

Every worker knows every stream's record, so that what one leaves undone another does. Who recorded a stream last finishes it at
once; others wait until that one had its time.
"""

import asyncio
import shutil
from collections.abc import Awaitable
from pathlib import Path

from msgspec import Struct

from infra.clock import Clock
from infra.errors import Missing, Unavailable
from infra.telemetry import logs, metrics
from schemas.records import Recorded
from workers.media.chronicle import Chronicle, Where
from workers.media.journal import Journal
from workers.media.ownership import Ownership
from workers.media.recording import names
from workers.media.recording.claims import Claims
from workers.media.recording.finishing import Finishing, Lost
from workers.media.recording.recordings import Recordings
from workers.media.streams import BroadcastRegistry, StreamChanged

TICK_S = 1.0
#: A worker that has nothing of a stream itself leaves it for so long to those who may; they claim it within a second.
OTHERS_S = 5.0
#: Streams that ended longer ago and have no recording are not looked at again: a listing for each, at every start.
UNFINISHED_MS = 7 * 24 * 3600 * 1000
#: Failures of one recording before it is given up until the next start; an outage of the home counts for nothing.
TRIES = 5
AGAIN_S = 5.0
MOST_AGAIN_S = 300.0
SWEEP_S = 600.0
#: The live playlists of a recorded stream stay for those who still have them open.
LIVE_MS = 600_000
DAY_MS = 24 * 3600 * 1000
_BATCH = 500


class _Due(Struct):
    """A recording to be finished: not before *at*, on the monotonic clock."""

    at: float
    failures: int = 0


class Duties:
    """Told of every stream by `changed`; works in `run`."""

    def __init__(
        self,
        *,
        recordings: Recordings,
        finishing: Finishing,
        registry: BroadcastRegistry,
        ownership: Ownership,
        claims: Claims,
        live: Path,
        clock: Clock,
        journal: Journal,
        retention_days: float,
    ) -> None:
        """*live* is the folder of live playlists; *retention_days* 0 keeps recordings for ever."""
        self._recordings = recordings
        self._finishing = finishing
        self._registry = registry
        self._ownership = ownership
        self._claims = claims
        self._live = live
        self._clock = clock
        self._journal = journal
        self._retention_ms = retention_days * DAY_MS
        self._due: dict[str, _Due] = {}
        self._recorded: dict[str, int] = {}
        self._spent: dict[str, int] = {}
        self._deleted: dict[str, None] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        # One at a time: it costs disk and processor.
        self._turn = asyncio.Semaphore(1)
        self._swept = clock.monotonic()
        self._log = logs.get(__name__)

    def changed(self, change: StreamChanged) -> None:
        """A stream's record as it is now."""
        stream_id = change.stream_id
        if change.recorded_ms is not None:
            self._recorded[stream_id] = change.recorded_ms
            self._spent[stream_id] = change.recorded_ms + LIVE_MS
        else:
            self._recorded.pop(stream_id, None)
            self._spent.pop(stream_id, None)
        if change.deleted:
            self._due.pop(stream_id, None)
            self._deleted[stream_id] = None
            if stream_id in self._running:
                # It would put what is deleted now.
                self._running[stream_id].cancel()
        elif change.ended:
            self._ended(change)

    def _ended(self, change: StreamChanged) -> None:
        stream_id, here = change.stream_id, change.stream_id in self._recordings
        # What a crash had left comes home after others finished without it.
        late = stream_id in self._recordings.salvaged
        if change.recorded_ms is not None and not late:
            # Whoever still has something of it does it again.
            if not here:
                self._due.pop(stream_id, None)
            return
        recent = self._clock.now_ms() - (change.ended_ms or 0) < min(UNFINISHED_MS, self._retention_ms or UNFINISHED_MS)
        if stream_id not in self._running and (here or late or (change.shown and recent)):
            self._due.setdefault(stream_id, _Due(self._clock.monotonic() + (0 if here or late else OTHERS_S)))

    async def run(self) -> None:
        """Work for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            await self.tick()

    async def tick(self) -> None:
        """Do what is due."""
        now = self._clock.monotonic()
        for stream_id in [each for each, due in self._due.items() if due.at <= now and each not in self._running]:
            self._start(stream_id, self._finish(stream_id, self._due[stream_id]))
        for stream_id in list(self._deleted)[:1]:
            await self._quietly(self._delete(stream_id), stream_id)
        await self._tidy()
        if now - self._swept >= SWEEP_S:
            self._swept = now
            await self._sweep()

    async def finished(self) -> None:
        """Wait until no recording is being finished."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def stop(self) -> None:
        """Leave what is being done to others, or to the next start."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _start(self, stream_id: str, work: "Awaitable[None]") -> None:
        async def do() -> None:
            await work

        task = asyncio.create_task(do(), name=f"finish the recording of {stream_id}")
        self._running[stream_id] = task
        task.add_done_callback(lambda _: self._running.pop(stream_id, None))

    async def _finish(self, stream_id: str, due: _Due) -> None:
        wait_s = min(AGAIN_S * 2**due.failures, MOST_AGAIN_S)
        try:
            if await self._finished(stream_id):
                self._due.pop(stream_id, None)
                return
            wait_s = OTHERS_S
        except Unavailable as error:
            metrics.FINISHING_FAILED.labels("home").inc()
            self._log.warning("a recording cannot be finished yet", stream_id=stream_id, error=str(error))
        except Missing as error:
            self._log.info("a recording is gone while it was finished", stream_id=stream_id, error=str(error))
            due.failures += 1
        except (OSError, ValueError) as error:
            self._log.error("a recording could not be finished", stream_id=stream_id, error=str(error))
            due.failures += 1
            self._chronicle(stream_id).unrecorded(str(error), again=due.failures < TRIES)
        due.at = self._clock.monotonic() + wait_s
        if due.failures >= TRIES:
            self._due.pop(stream_id, None)
            metrics.FINISHING_FAILED.labels("given_up").inc()
            self._log.error("a recording was given up until the next start", stream_id=stream_id, tries=TRIES)

    async def _finished(self, stream_id: str) -> bool:
        """Finish a recording; false where another worker is at it, or may still have something of it."""
        if stream_id not in self._recordings and await self._ownership.owned(stream_id):
            return False
        claim = await self._claims.take(f"recording.{stream_id}")
        if claim is None:
            return False
        try:
            await self._recordings.settled(stream_id)
            async with self._turn:
                recorded = await self._finishing.finish(stream_id, lambda: claim.held)
            if recorded is not None and claim.held:
                await self._registry.recorded(stream_id, recorded)
                self._ready(stream_id, recorded)
                # The recording has its own.
                await self._empty(f"{stream_id}/{names.LIVE_STRIP}")
        except Lost:
            return False
        finally:
            await claim.release()
        self._recordings.salvaged.discard(stream_id)
        return True

    def _ready(self, stream_id: str, recorded: Recorded) -> None:
        """A recording can be played."""
        self._log.info("recording ready", stream_id=stream_id, duration_ms=recorded.duration_ms, mp4=recorded.mp4)
        self._chronicle(stream_id).recorded(recorded)

    def _chronicle(self, stream_id: str) -> Chronicle:
        """Of a stream that nobody owns any more."""
        return Chronicle(self._journal, stream_id, self._clock, lambda: Where(0, 0, None))

    async def _sweep(self) -> None:
        """Let go of the recordings that were kept long enough."""
        if not self._retention_ms:
            return
        until = self._clock.now_ms() - self._retention_ms
        for stream_id in [each for each, at in self._recorded.items() if at < until]:
            await self._quietly(self._expire(stream_id), stream_id)

    async def _expire(self, stream_id: str) -> None:
        claim = await self._claims.take(f"recording.{stream_id}")
        if claim is None:
            return
        try:
            await self._empty(names.recording(stream_id))
            # The record last: what is left after a crash is found by it.
            await self._registry.recorded(stream_id, None)
            self._recorded.pop(stream_id, None)
            self._log.info("a recording was kept long enough", stream_id=stream_id)
        finally:
            await claim.release()

    async def _delete(self, stream_id: str) -> None:
        if stream_id in self._running:
            await asyncio.wait([self._running[stream_id]])
        await self._recordings.discard(stream_id)
        await self._empty(stream_id)
        self._deleted.pop(stream_id, None)

    async def _empty(self, prefix: str) -> None:
        """Delete everything below *prefix*, what people are told of first."""
        home = self._recordings.home
        await home.delete([f"{prefix}/{names.MASTER}"])
        batch: list[str] = []
        async for facts in home.list(prefix):
            batch.append(facts.name)
            if len(batch) >= _BATCH:
                await home.delete(batch)
                batch = []
        await home.delete(batch)

    async def _tidy(self) -> None:
        """The live playlists of streams whose recording is ready for a while are not needed any more."""
        now_ms = self._clock.now_ms()
        for stream_id in [each for each, at in self._spent.items() if at <= now_ms]:
            del self._spent[stream_id]
            try:
                await asyncio.to_thread(_clear, self._live / stream_id)
            except OSError as error:
                self._log.warning("live files could not be removed", stream_id=stream_id, error=str(error))

    async def _quietly(self, work: "Awaitable[None]", stream_id: str) -> None:
        try:
            await work
        except Unavailable as error:
            metrics.FINISHING_FAILED.labels("home").inc()
            self._log.warning("the home of recordings is away; trying again", stream_id=stream_id, error=str(error))


def _clear(folder: Path) -> None:
    """Remove what was live: the renditions' folders and the multivariant playlist."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir() and path.name != "recording":
            shutil.rmtree(path, ignore_errors=True)
    (folder / names.MASTER).unlink(missing_ok=True)
