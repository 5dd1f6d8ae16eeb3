"""Ends the connections of those who may not watch any more: a privacy that changed, a grant taken back, a stream deleted.

A change says which streams it may concern, never whom: all viewers of those are looked at again, by the one rule. So nothing
has to be known of a viewer before, and a look that was asked for once too often costs a microsecond a viewer.
"""

import asyncio

from gateway.access import Access, scope
from gateway.directory import StreamDirectory
from gateway.fanout.audience import Audience
from gateway.fanout.hub import Hub
from gateway.fanout.viewer import Viewer
from infra.errors import Unavailable
from infra.telemetry import logs, metrics
from schemas.records import StreamRecord

log = logs.get(__name__)

#: Viewers looked at in one turn of the loop: about a millisecond of it.
SLICE = 500
#: Where somebody has to be asked. Whoever nothing is known of by then is sent away, to come back and be asked for again.
DECIDE_S = 1.0
#: Between two looks at the same viewers, however many grants are taken back meanwhile.
AGAIN_S = 0.25


class Expulsion:
    """One per gateway."""

    def __init__(self, hub: Hub, directory: StreamDirectory, access: Access) -> None:
        self._hub = hub
        self._directory = directory
        self._access = access
        #: Streams that are being looked at, and whether they have to be once more.
        self._looking: dict[str, bool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        hub.on_join = self._joined
        directory.on_change(self._changed)
        directory.on_gone(self._look)
        access.on_taken_back(self._taken_back)

    async def stop(self) -> None:
        """End what is at work."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _record(self, audience: Audience) -> StreamRecord:
        # The audience's own may be from before it was open.
        return self._directory.known(audience.stream_id) or audience.record

    def _decided(self, viewer: Viewer, audience: Audience) -> bool | None:
        """As `Access.decided`; nobody may watch what was deleted."""
        if self._directory.is_gone(audience.stream_id):
            return False
        return self._access.decided(viewer.principal, self._record(audience))

    def _joined(self, viewer: Viewer, audience: Audience) -> None:
        """Whoever was let in by what was known a moment ago."""
        if self._decided(viewer, audience) is not True:
            self._look(audience.stream_id)

    def _changed(self, record: StreamRecord) -> None:
        if record.privacy != "public":
            self._look(record.stream_id)

    def _taken_back(self, which: str) -> None:
        for audience in self._hub.audiences.open.values():
            record = self._record(audience)
            if record.privacy != "public" and scope(record) == which:
                self._look(audience.stream_id)

    def _look(self, stream_id: str) -> None:
        if stream_id in self._looking:
            self._looking[stream_id] = True
        elif self._hub.audience(stream_id) is not None:
            self._looking[stream_id] = False
            task = asyncio.get_running_loop().create_task(self._run(stream_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, stream_id: str) -> None:
        try:
            while (audience := self._hub.audience(stream_id)) is not None:
                self._looking[stream_id] = False
                await self._expel(audience)
                if not self._looking[stream_id]:
                    break
                await asyncio.sleep(AGAIN_S)
        except Exception:
            log.exception("viewers were not looked at", stream_id=stream_id)
        finally:
            del self._looking[stream_id]

    async def _expel(self, audience: Audience) -> None:
        undecided: list[Viewer] = []
        for n, viewer in enumerate(list(audience.viewers)):
            if n % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            match self._decided(viewer, audience):
                case None:
                    undecided.append(viewer)
                case False:
                    _end(viewer)
        if undecided:
            await asyncio.gather(*(self._ask(viewer, audience) for viewer in undecided))

    async def _ask(self, viewer: Viewer, audience: Audience) -> None:
        try:
            async with asyncio.timeout(DECIDE_S):
                if not await self._access.may_watch(viewer.principal, self._record(audience)):
                    _end(viewer)
        except (TimeoutError, Unavailable):
            viewer.end()


def _end(viewer: Viewer) -> None:
    if not viewer.closed:
        metrics.EXPELLED.inc()
        viewer.expel()
