"""A replay's request, checked and turned into a viewer; or into a problem document, before any event is written."""

import asyncio

from gateway.access import Access
from gateway.auth import Authenticator
from gateway.directory import StreamDirectory
from gateway.fanout.admission import EventsRequest, answer_failure, head_for, identify
from gateway.fanout.hub import Busy, Hub
from gateway.replay.replays import Replays
from gateway.replay.request import ReplayRequest
from gateway.replay.start import find
from gateway.replay.viewer import ReplayViewer
from infra.clock import Clock


class ReplayAdmission:
    """Checks requests. One per gateway."""

    def __init__(
        self,
        hub: Hub,
        directory: StreamDirectory,
        authenticator: Authenticator,
        access: Access,
        replays: Replays,
        clock: Clock,
    ) -> None:
        self._access = access
        self._hub = hub
        self._directory = directory
        self._authenticator = authenticator
        self._replays = replays
        self._clock = clock

    def take(self, transport: asyncio.Transport, request: EventsRequest) -> "asyncio.Task[None]":
        """As `Admits.take`."""
        viewer = ReplayViewer(transport)
        transport.set_protocol(viewer)
        return asyncio.get_running_loop().create_task(self._admit(viewer, request))

    async def _admit(self, viewer: ReplayViewer, request: EventsRequest) -> None:
        try:
            asked = ReplayRequest.read(request)
            # Reactions and viewer counts are of the present: there are none in a replay, whatever is asked.
            request.comments_only()
            record = await self._directory.get(request.stream_id)
            identify(viewer, request, self._authenticator, self._hub.quotas)
            await self._access.require_watch(viewer.principal, record)
            # From here on it may be sent away at any moment, with an answer.
            viewer.head = head_for(viewer)
            audience = await self._hub.admit(viewer, record)
            start = await find(audience, asked, self._clock.now_ms())
            if not viewer.closed:
                self._replays.play(viewer, audience, start, asked.speed)
        except asyncio.CancelledError:
            answer_failure(viewer, Busy("draining"))
            raise
        except Exception as error:  # noqa: BLE001 - every failure becomes an answer
            answer_failure(viewer, error)
