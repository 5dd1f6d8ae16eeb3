"""When presence is told and counts are shown: at once after a quiet moment, then at most four times a second."""

import asyncio
import contextlib
from collections.abc import Callable

from gateway.fanout.presence import HEARTBEAT_S, Presence
from infra.jetstream.connection import Subscription
from infra.jetstream.feed import Feed
from infra.telemetry import logs
from schemas import subjects

log = logs.get(__name__)

#: Between two tellings. A change passes two of these, here and in the gateway that shows it, and a window: under a second.
INTERVAL_S = 0.25
#: ... and while there is more to tell than one message holds.
MORE_S = 0.02
#: Counts shown in one turn of the loop.
SLICE = 200


class Announcer:
    """Drives one `Presence`."""

    def __init__(self, presence: Presence, feed: Feed, show: Callable[[str, int, bool], None]) -> None:
        """*show* gets (stream, viewers, approximate) of every stream whose count may have changed; it must not block."""
        self._presence = presence
        self._feed = feed
        self._show = show
        self._woken = asyncio.Event()
        self._listening: Subscription | None = None
        self._task: asyncio.Task[None] | None = None
        presence.wake = self._woken.set

    async def start(self) -> None:
        """Listen to the other gateways and begin to tell.

        Raises:
            Unavailable: the broker is away.
        """
        self._listening = await self._feed.listen("presence.*", lambda _, payload: self._presence.take(payload))
        self._woken.set()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(_ended)

    async def stop(self) -> None:
        """Tell what is untold, and fall silent."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self._tell()
        if self._listening is not None:
            await self._listening.end()

    async def _run(self) -> None:
        while True:
            # Not wait_for: in Python 3.11 it drops a cancellation that comes together with what it waits for.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._woken.wait()
            self._woken.clear()
            await self._tell()
            if self._feed.up:
                self._presence.expire()
            for number, stream_id in enumerate(self._presence.changed(), 1):
                self._show(stream_id, *self._presence.count(stream_id))
                if number % SLICE == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(MORE_S if self._presence.more else INTERVAL_S)
            if self._presence.unsaid:
                self._woken.set()

    async def _tell(self) -> None:
        for message in self._presence.messages():
            await self._feed.tell(subjects.presence(self._presence.gateway), message)


def _ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("presence stopped", exc_info=error)
