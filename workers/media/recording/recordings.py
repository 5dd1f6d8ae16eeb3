"""All recordings of this worker: a recorder for each stream that is live here, and the way home of what they wrote."""

import asyncio
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from infra.clock import Clock
from infra.errors import Unavailable
from infra.objects.contract import ObjectStore
from infra.telemetry import logs, metrics
from workers.media.recording import names
from workers.media.recording.pen import Pen
from workers.media.recording.recorder import Recorder
from workers.media.recording.spool import Spool
from workers.media.recording.uploads import Uploads
from workers.media.variants import SOURCE

#: Transfers at once, all streams together.
TURNS = 8
#: How long the home is asked where a stream stands, while its encoder waits.
STANDING_S = 5.0
#: What may be taken home when the worker stops; the rest stays in the spool.
CLOSE_S = 5.0


class Standing(Struct, frozen=True):
    """How far a recording has come: its newest generation, the number after its newest segment, its longest segment."""

    generation: int
    following: int
    longest_ms: int


class Recordings:
    """Used from the event loop. Nothing here makes a live stream wait."""

    def __init__(self, home: ObjectStore, spool: Spool, clock: Clock) -> None:
        self.home = home
        self.spool = spool
        #: Streams of which a crash had left something.
        self.salvaged: set[str] = set()
        self._clock = clock
        self._pen = Pen()
        self._turns = asyncio.Semaphore(TURNS)
        self._recorders: dict[str, Recorder] = {}
        self._uploads: dict[str, Uploads] = {}
        self._left: dict[str, asyncio.Event] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._log = logs.get(__name__)

    def __contains__(self, stream_id: str) -> bool:
        return stream_id in self._recorders or stream_id in self._uploads

    async def open(self) -> None:
        """Take the spool, and on their way home what a crash left in it.

        Raises:
            OSError: the spool cannot be used.
        """
        await asyncio.to_thread(self.spool.open)
        for stream_id, name, size in await asyncio.to_thread(self.spool.salvage):
            self._way(stream_id).add(name, size)
            self.salvaged.add(stream_id)
        self._pen.start()
        metrics.RECORDING_LAG.set_function(self.lag_s)
        for stream_id in self.salvaged:
            self._leave(stream_id)

    def recorder(self, stream_id: str, may_write: Callable[[], bool]) -> Recorder:
        """Record *stream_id* from now on, until `leave`; *may_write* tells whether this worker still owns it."""
        loop, way = asyncio.get_running_loop(), self._way(stream_id)

        def ready(name: str, size: int) -> None:
            loop.call_soon_threadsafe(way.add, name, size)

        self._left.setdefault(stream_id, asyncio.Event()).clear()
        self._recorders[stream_id] = Recorder(stream_id, self.spool, self._pen, may_write, ready)
        return self._recorders[stream_id]

    def leave(self, stream_id: str) -> None:
        """The stream is live here no more: what is being filled ends, and its folder goes when all of it is at home."""
        recorder = self._recorders.pop(stream_id, None)
        if recorder is not None:
            recorder.close()
            self._left[stream_id].set()
            self._leave(stream_id)

    async def settled(self, stream_id: str) -> None:
        """Wait until *stream_id* is live here no more, and all of it that was recorded here is at home."""
        left = self._left.get(stream_id)
        if left is not None:
            await left.wait()
        await self._written()
        way = self._uploads.get(stream_id)
        if way is not None:
            await way.settled()

    async def discard(self, stream_id: str) -> None:
        """Take nothing of *stream_id* home any more; it is live here no more."""
        left = self._left.get(stream_id)
        if left is not None:
            await left.wait()
        await self._written()
        way = self._uploads.pop(stream_id, None)
        if way is not None:
            await way.stop()
        self._pen.put(partial(self.spool.forget, stream_id))

    async def standing(self, stream_id: str) -> Standing | None:
        """How far the recording of *stream_id* has come, by whomever; `None` where there is none.

        Raises:
            Unavailable: the home did not tell within `STANDING_S`.
        """
        generation = following = longest_ms = 0
        try:
            async with asyncio.timeout(STANDING_S):
                async for facts in self.home.list(names.recording(stream_id, SOURCE)):
                    name = facts.name.rpartition("/")[2]
                    segment = names.segment(name)
                    generation = max(generation, names.generation(name) or 0)
                    if segment is not None:
                        following = max(following, segment.msn + 1)
                        longest_ms = max(longest_ms, segment.duration_ms)
        except TimeoutError as error:
            msg = f"the home of recordings did not answer within {STANDING_S:g} s"
            raise Unavailable(msg) from error
        return Standing(generation, following, longest_ms) if generation else None

    def lag_s(self) -> float:
        """Age of the oldest segment that waits for its home."""
        since = [way.since for way in self._uploads.values() if way.since is not None]
        return self._clock.monotonic() - min(since) if since else 0.0

    async def close(self) -> None:
        """End; what is not at home in time stays in the spool, and is salvaged by the next worker."""
        for stream_id in list(self._recorders):
            self.leave(stream_id)
        await self._written()
        ways = [asyncio.create_task(way.settled()) for way in self._uploads.values()]
        if ways:
            _, late = await asyncio.wait(ways, timeout=CLOSE_S)
            for task in late:
                task.cancel()
        for task in self._leaving:
            task.cancel()
        for way in self._uploads.values():
            await way.stop()
        await asyncio.to_thread(self._pen.close, CLOSE_S)
        self.spool.close()

    def _way(self, stream_id: str) -> Uploads:
        if stream_id not in self._uploads:
            self._uploads[stream_id] = Uploads(stream_id, self.spool, self.home, self._turns, self._clock)
        return self._uploads[stream_id]

    async def _written(self) -> None:
        """Wait until the pen has done all it was given so far."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def written() -> None:
            loop.call_soon_threadsafe(done.set)

        self._pen.put(written)
        await done.wait()

    def _leave(self, stream_id: str) -> None:
        task = asyncio.create_task(self._tidy(stream_id), name=f"leave the recording of {stream_id}")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _tidy(self, stream_id: str) -> None:
        way = self._uploads.get(stream_id)
        await self.settled(stream_id)
        if stream_id not in self._recorders and self._uploads.get(stream_id) is way and (way is None or way.since is None):
            self._uploads.pop(stream_id, None)
            self._left.pop(stream_id, None)
            self._pen.put(partial(self.spool.forget, stream_id))
