"""All WebSocket connections of this process: accepted, listened to, pinged, expired and drained."""

import asyncio
import contextlib

from websockets.frames import CloseCode

from gateway.auth import COOKIE, Authenticator
from gateway.fanout import ws
from gateway.fanout.admission import EventsRequest
from gateway.fanout.connection import Connection
from gateway.fanout.crowd import ANONYMOUS
from gateway.fanout.hub import Busy, Hub
from gateway.fanout.office import Office
from gateway.fanout.refusal import refuse
from gateway.fanout.sketch import person
from gateway.problems import Problem
from infra.clock import Clock
from infra.telemetry import metrics

TICK_S = 1.0
#: Every connection is pinged this often, a part of them each second.
PING_S = 20
#: Nothing heard for so long, not even a pong: the peer is gone.
SILENT_S = 60.0
#: The credential has ended, as a 401 would say. 4000-4999 are for applications.
EXPIRED = 4401
#: After the drain, for close frames to be answered.
GOODBYE_S = 1.0


class Sockets:
    """One per gateway."""

    def __init__(self, hub: Hub, authenticator: Authenticator, office: Office, clock: Clock) -> None:
        self._hub = hub
        self._authenticator = authenticator
        self._office = office
        self._clock = clock
        self._open: set[Connection] = set()
        #: The same connections, by the second of `PING_S` in which they are pinged.
        self._wheel: list[set[Connection]] = [set() for _ in range(PING_S)]
        self._spoke = self._newest = 0
        self._all_gone = asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to tick."""
        self._ticking = asyncio.get_running_loop().create_task(self._tick())

    async def stop(self) -> None:
        """Stop ticking, and what is at work; drain first."""
        if self._ticking is not None:
            self._ticking.cancel()
        await self._office.stop()

    async def drain(self, seconds: float) -> None:
        """End connections that watch nothing, spread over *seconds*; the hub ends those that watch."""
        idle = [connection for connection in self._open if connection.seat is None]
        steps = max(1, min(len(idle), int(seconds * 20)))
        for step in range(steps):
            for connection in idle[step::steps]:
                self._office.sent_away(connection, come_back=True)
            if step < steps - 1:
                await asyncio.sleep(seconds / steps)

    async def goodbye(self) -> None:
        """Give the peers a moment to answer close frames, so that the last bytes reach them."""
        self._all_gone.clear()
        if self._open:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), GOODBYE_S)
        for connection in list(self._open):
            connection.close(CloseCode.GOING_AWAY, "come back")

    def take(
        self, transport: asyncio.Transport, path: str, query: bytes, headers: list[tuple[bytes, bytes]], address: str = ""
    ) -> None:
        """Answer an upgrade request on *transport*, which is this package's from now on."""
        # Nobody's, until it is accepted: uvicorn's protocol has let go of it.
        transport.set_protocol(asyncio.Protocol())
        request = EventsRequest.read("", query, headers)
        try:
            principal = self._authenticator.authenticate_socket(
                authorization=request.header(b"authorization"),
                cookie=request.cookie(COOKIE),
                ticket=request.parameter("ticket"),
            )
        except Problem as problem:
            refuse(transport, problem)
            return
        who = person(principal.id) if principal else ANONYMOUS
        place = self._hub.quotas.place(address)
        connection = Connection(transport, principal, who, place, self._office, self._lost, self._clock)
        response = connection.handshake(path, headers)
        if response.status_code != 101:
            detail = (response.body or b"").decode().strip().splitlines()[0]
            upgrade = [(b"upgrade", b"websocket")] if response.status_code == 426 else []
            refuse(transport, Problem("VALIDATION", detail, status=response.status_code), *upgrade)
            return
        transport.set_protocol(connection)
        transport.write(response.serialize())
        try:
            self._hub.room(connection)
        except Busy:
            # A refused upgrade tells a browser nothing; this it hears.
            connection.end(CloseCode.TRY_AGAIN_LATER, "no room", come_back=True)
            return
        self._hub.quotas.take(connection)
        self._open.add(connection)
        self._newest = (self._newest + 1) % PING_S
        self._wheel[self._newest].add(connection)
        metrics.SOCKETS.inc()

    def tick(self) -> None:
        """Once a second: ping those whose turn it is; end those that are silent, or whose credential has ended."""
        self._spoke = (self._spoke + 1) % PING_S
        now, now_s = self._clock.monotonic(), self._clock.now_ms() / 1000
        for connection in self._wheel[self._spoke]:
            connection.write(ws.PING)
        for connection in list(self._open):
            who = connection.principal
            if now - connection.heard_at > SILENT_S:
                connection.transport.abort()
            elif who is not None and who.expires_at <= now_s:
                connection.end(EXPIRED, "the credential has ended")

    def _lost(self, connection: Connection) -> None:
        if connection not in self._open:
            return
        self._open.discard(connection)
        if not self._open:
            self._all_gone.set()
        for spoke in self._wheel:
            spoke.discard(connection)
        self._hub.quotas.give_back(connection)
        metrics.SOCKETS.dec()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.tick()
