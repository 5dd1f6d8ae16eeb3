"""uvicorn's server: one listening socket, deadlines looked after, and an end that cuts nobody off."""

import asyncio
import contextlib
import math
import socket
from collections.abc import Awaitable, Callable

import uvicorn
from starlette.types import ASGIApp

from gateway.edge.accepting import taker
from gateway.edge.acceptor import Acceptor
from gateway.edge.lines import Lines
from gateway.edge.protocol import LINGER_S, Bounded, Edge
from infra.lifecycle import Lifecycle

#: Seconds between two looks for connections that take too long.
LOOK_S = 1.0
KEEP_ALIVE_S = 30
#: For what is cancelled at the end to say so.
WORDS_S = 1.0

Drain = Callable[[float], Awaitable[None]]


async def serve(
    app: ASGIApp,
    protocol: type[asyncio.Protocol],
    edge: Edge,
    listening: socket.socket,
    lifecycle: Lifecycle,
    drain: Drain,
    *,
    shared: bool,
) -> None:
    """Serve until `lifecycle.stopping`; then end, so that whoever has connected is answered.

    From then on every answer ends its connection, and *drain* sends the viewers away over the drain period. A *shared*
    listening socket, which other processes accept from, is let go at once, and what waits in its queue is theirs; one of
    our own goes on accepting meanwhile, because whoever sends us connections needs time to see that we are not ready. It is
    one of `infra.ports.listen`, whose options its connections have.
    """
    server = Server(_config(app, protocol, edge), edge)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    looking = asyncio.create_task(server.look())
    stopping = asyncio.create_task(lifecycle.stopping.wait())
    lifecycle.update()
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.begin_end()
    if shared:
        server.stop_accepting()
    if not serving.done():
        await drain(edge.settings.drain_s)
        server.should_exit = True
    await serving
    looking.cancel()
    if server.server_state.tasks:
        # Who was cancelled says so in words, and a wait within a wait takes some turns to end.
        await asyncio.wait(set(server.server_state.tasks), timeout=WORDS_S)
    server.lines.close()


def _config(app: ASGIApp, protocol: type[asyncio.Protocol], edge: Edge) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        http=protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        # A post waits for a broken broker this long before it is answered 503.
        timeout_graceful_shutdown=math.ceil(edge.settings.publish_wait_s + LINGER_S),
    )


class Server(uvicorn.Server):
    """uvicorn without its signal handlers, which the lifecycle has, and with a way to stop accepting first."""

    def __init__(self, config: uvicorn.Config, edge: Edge) -> None:
        super().__init__(config)
        self._edge = edge
        self.lines = Lines(asyncio.get_running_loop())

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept from *sockets* with an acceptor of ours, where uvicorn has the loop's."""
        config = self.config

        def protocol() -> asyncio.Protocol:
            # As uvicorn does for each connection.
            return config.http_protocol_class(config=config, server_state=self.server_state, app_state={})  # type: ignore[call-arg]

        take = taker(self._edge.settings.writer)
        self.servers = [Acceptor(each, self.lines, protocol, take) for each in sockets or []]  # type: ignore[misc]
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # noqa: ANN201 - uvicorn's own signature
        """Leave signals to the lifecycle."""
        yield

    def begin_end(self) -> None:
        """From now on every answer is its connection's last: of requests in work, and of those that come."""
        self._edge.draining = True
        for connection in self._connections():
            connection.answer_last()

    def stop_accepting(self) -> None:
        """Close the listening socket here; what waits in a shared queue is another process's."""
        for each in getattr(self, "servers", []):
            each.let_go()

    async def look(self) -> None:
        """Close connections that take too long, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(LOOK_S, self._edge.settings.request_head_s / 2))
            now = loop.time()
            for connection in self._connections():
                if connection.late(now):
                    connection.end_late()

    def _connections(self) -> list[Bounded]:
        """Those that are not viewers; all are of classes of ours."""
        return list(self.server_state.connections)  # type: ignore[arg-type]  # uvicorn names its own classes only
