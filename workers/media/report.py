"""The stream's record follows the video: the newest state is written until it is written."""

import asyncio
from collections.abc import Callable, Sequence

from infra.errors import Unavailable
from infra.telemetry import logs
from workers.media.streams import BroadcastRegistry, VideoState

_FIRST_S = 0.5
_MOST_S = 8.0


class Report:
    """Holds one state, the newest: what was wanted in between while the registry was away is of no use to anybody."""

    def __init__(self, registry: BroadcastRegistry, stream_id: str, owned: Callable[[], bool] = lambda: True) -> None:
        """*owned* is asked before each write: a worker that was paused must not tell of what another one has by then."""
        self._registry = registry
        self._stream_id = stream_id
        self._wanted: tuple[VideoState, tuple[str, ...]] | None = None
        self._written: tuple[VideoState, tuple[str, ...]] | None = None
        self._owned = owned
        self._task: asyncio.Task[None] | None = None
        self._log = logs.get(__name__).bind(stream_id=stream_id)

    @property
    def state(self) -> VideoState | None:
        """What was told last."""
        return self._wanted[0] if self._wanted else None

    def tell(self, state: VideoState, qualities: Sequence[str]) -> None:
        """Make the record say so, soon; returns at once."""
        self._wanted = (state, tuple(qualities))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write(), name=f"report {self._stream_id}")

    def forget(self) -> None:
        """The stream is another worker's: nothing more is written."""
        self._wanted = None

    async def settled(self) -> None:
        """Wait until the newest state is written."""
        if self._task is not None:
            await self._task

    async def _write(self) -> None:
        wait = _FIRST_S
        while self._wanted is not None and self._wanted != self._written:
            wanted = self._wanted
            if not self._owned():
                # While the broker is away nobody knows; then it is ours again, or `forget` is called.
                await asyncio.sleep(wait)
                continue
            try:
                await self._registry.video(self._stream_id, *wanted)
            except Unavailable as error:
                self._log.warning("the video's state could not be written; trying again", error=str(error), wait_s=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _MOST_S)
            else:
                self._written = wanted
                wait = _FIRST_S
