"""Files are written in order, in a thread: nothing waits for a disk, and a playlist never names what is not there."""

import asyncio
from collections import deque
from collections.abc import Callable

from infra.telemetry import metrics

#: Writes that may wait. One stream makes some six per second: past it the disk has hung for half a minute.
MOST = 200


class Filing:
    """One stream's writes. After one failed, those after it are not tried: the playlist would name what is missing."""

    def __init__(self, may_write: Callable[[], bool], failed: Callable[[OSError], None]) -> None:
        """*may_write* is asked before each write: who lost the stream to another worker writes nothing any more."""
        self._may_write = may_write
        self._failed = failed
        self._waiting: deque[Callable[[], None]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, job: Callable[[], None]) -> None:
        """Do *job* after those before it; returns at once."""
        if len(self._waiting) >= MOST:
            self._fail(OSError("the disk does not keep up"))
            return
        self._waiting.append(job)
        metrics.MEDIA_QUEUED.labels("files").inc()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def settled(self) -> None:
        """Wait until everything is written, or failed."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._waiting:
            if not self._may_write():
                self._give_up()
                return
            job = self._waiting.popleft()
            metrics.MEDIA_QUEUED.labels("files").dec()
            try:
                await asyncio.to_thread(job)
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        metrics.MEDIA_DROPS.labels("files").inc()
        self._give_up()
        self._failed(error)

    def _give_up(self) -> None:
        metrics.MEDIA_QUEUED.labels("files").dec(len(self._waiting))
        metrics.MEDIA_DROPS.labels("files").inc(len(self._waiting))
        self._waiting.clear()
