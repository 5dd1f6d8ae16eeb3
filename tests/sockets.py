"""A hub in this process with WebSockets: viewers, their seats, and a clock to move by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from gateway.access import Access
from gateway.auth import Authenticator
from gateway.commands import Commands
from gateway.directory import StreamDirectory
from gateway.fanout.connection import Connection
from gateway.fanout.office import Office
from gateway.fanout.seat import Seat
from gateway.fanout.sockets import Sockets
from gateway.granted import Granted
from infra.clock import Clock
from infra.environment import load
from infra.jetstream.grants import FOLLOWS, INVITATIONS, Grants
from tests.doors import Door
from tests.factories import comment
from tests.hubs import Gateway, gateway
from tests.socketviewer import SocketViewer
from tests.waits import eventually

if TYPE_CHECKING:
    from gateway.app import Deps
    from infra.stores import StreamStore


@dataclass
class Here:
    """A gateway whose sockets are in reach."""

    hub: Gateway
    sockets: Sockets
    authenticator: Authenticator
    directory: StreamDirectory
    url: str
    #: In the order of their coming.
    connections: list[Connection]

    @property
    def stream_id(self) -> str:
        """The stream there is."""
        return self.hub.record.stream_id

    async def viewer(self, query: str = "") -> tuple[SocketViewer, Seat]:
        """One that has joined, and its place."""
        known = len(self.connections)
        viewer = await (await SocketViewer(self.url, query=query).open()).join(self.stream_id)
        seat = self.connections[known].seat
        assert seat is not None
        await eventually(lambda: seat.roll is not None)
        return viewer, seat

    async def say(self, count: int, first: int = 1, text: str = "x" * 450) -> list[int]:
        """Say so many comments; their seqs."""
        numbers = range(first, first + count)
        return list(await asyncio.gather(*(self.hub.say(comment(n, text=text)) for n in numbers)))


@asynccontextmanager
async def here(url: str, folder: Path, clock: Clock | None = None, **settings: str) -> AsyncIterator[Here]:
    """One hub with sockets. The clock is that of connections: pings, silence, expiry."""
    loaded = load({"OVATION_WINDOW_MS": "5", "OVATION_JWT_SECRET": "s" * 32, **settings})
    async with gateway(url, folder, settings=loaded) as g:
        used = clock or g.broker.clock
        directory = StreamDirectory(g.broker.records, cast("StreamStore", None))
        directory.put(g.record, 1)
        authenticator = Authenticator(loaded, used)
        # What only reads and answers: posting is tested where all of a gateway runs.
        grants = [Granted(Grants(g.broker.bucket(name), used)) for name in (FOLLOWS, INVITATIONS)]
        office = Office(g.hub, directory, Access(*grants), Commands(cast("Deps", None)))
        sockets = Sockets(g.hub, authenticator, office, used)
        connections: list[Connection] = []
        noting = _remembering(sockets, connections)

        def opens(transport: asyncio.Transport, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
            where = urlsplit(target)
            noting.take(transport, where.path.decode(), where.query, headers)

        server = await asyncio.get_running_loop().create_server(lambda: Door(opens), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield Here(g, sockets, authenticator, directory, f"http://127.0.0.1:{port}", connections)
        finally:
            server.close()
            await sockets.stop()


def _remembering(sockets: Sockets, connections: list[Connection]) -> Sockets:
    """*sockets*, whose new connections are noted."""
    take = sockets.take

    class Noting:
        def take(self, transport: asyncio.Transport, *request: object) -> None:
            take(transport, *request)  # type: ignore[arg-type]  # passed on as they came
            taken = transport.get_protocol()
            if isinstance(taken, Connection):
                connections.append(taken)

    return cast("Sockets", Noting())
