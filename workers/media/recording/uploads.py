"""One stream's files on their way from the spool to their home, in order, tried again for as long as the home is away."""

import asyncio
import contextlib
import random
from collections import deque

from infra.clock import Clock
from infra.errors import Unavailable
from infra.objects.contract import ObjectStore
from infra.telemetry import logs
from workers.media.recording import names
from workers.media.recording.spool import Spool

_FIRST_S, _MOST_S = 0.25, 8.0


class Uploads:
    """Holds the names of what waits: as many as the spool has files. *turns* bounds the transfers of all streams at once."""

    def __init__(self, stream_id: str, spool: Spool, home: ObjectStore, turns: asyncio.Semaphore, clock: Clock) -> None:
        self._stream_id = stream_id
        self._spool = spool
        self._home = home
        self._turns = turns
        self._clock = clock
        self._waiting: deque[tuple[str, int, float]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._log = logs.get(__name__).bind(stream_id=stream_id)

    @property
    def since(self) -> float | None:
        """When the oldest that waits was complete, on the monotonic clock; `None` where nothing waits."""
        return self._waiting[0][2] if self._waiting else None

    def add(self, name: str, size: int) -> None:
        """Take the file *name* (`rendition/file`) of *size* bytes home."""
        self._waiting.append((name, size, self._clock.monotonic()))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"uploads {self._stream_id}")

    async def settled(self) -> None:
        """Wait until nothing waits any more."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Leave the rest in the spool."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        wait_s = _FIRST_S
        while self._waiting:
            name, size, _ = self._waiting[0]
            try:
                async with self._turns:
                    await self._put(name)
            except Unavailable as error:
                if wait_s == _FIRST_S:
                    self._log.warning("the home of recordings is away; they wait in the spool", error=str(error))
                await asyncio.sleep(wait_s * random.uniform(0.75, 1.25))  # noqa: S311 - so that not all streams ask at once
                wait_s = min(wait_s * 2, _MOST_S)
                continue
            except FileNotFoundError:
                self._log.error("a recorded segment is gone from the spool", file=name)
            wait_s = _FIRST_S
            self._waiting.popleft()
            if size:
                self._spool.count(-size)

    async def _put(self, name: str) -> None:
        path = self._spool.path(self._stream_id, *name.split("/"))
        target = names.recording(self._stream_id, *name.split("/"))
        if names.generation(path.name) is not None:
            # It stays: what is salvaged after a crash is read by it.
            await self._home.put(target, await asyncio.to_thread(path.read_bytes))
            return
        await self._home.put_file(target, path)
        with contextlib.suppress(OSError):
            await asyncio.to_thread(path.unlink, missing_ok=True)
