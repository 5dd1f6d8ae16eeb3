"""Limits on viewers: in total, per person, per address; and peers that are no longer there."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import httpx
import pytest

from gateway.edge.acceptor import Acceptor
from gateway.edge.lines import Lines
from gateway.fanout import viewer as viewers
from gateway.fanout.viewer import Viewer as Served
from infra import ports
from tests.backends.nats import NatsServer
from tests.cluster import Cluster, cluster
from tests.processes import Client
from tests.viewer import Viewer
from tests.waits import PATIENCE_S, eventually


async def _refusals(c: Cluster, gateway: int, reason: str) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{c.gateways[gateway].ops_url}/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith(f'ovation_connections_refused_total{{reason="{reason}"}}')]
    return float(lines[0].split()[-1]) if lines else 0.0


async def _busy(viewer: Viewer) -> bool:
    """Whether the whole answer is 200, a jittered time to come back, and `event: busy`."""
    await viewer.open()
    if viewer.events[0].name != "busy":
        return False
    await viewer.ended()
    assert viewer.status == 200
    assert viewer.response_headers["content-type"].startswith("text/event-stream")
    assert [(event.name, event.id, event.data) for event in viewer.events] == [("busy", None, {})]
    return True


@pytest.mark.nats
async def test_one_person_has_so_many_viewers(nats_server: NatsServer, tmp_path: Path) -> None:
    """Over all streams of a gateway; another gateway, other people and those without a credential are none of it."""
    async with cluster(nats_server, tmp_path, gateways=2, archive=False, viewers_per_person=2) as c:
        async with await Client(c.url(0)).guest() as host, await Client(c.url(0)).guest() as other:
            streams = [(await host.start())["stream_id"] for _ in range(2)]
            own = {"Authorization": host.http.headers["Authorization"]}
            first = await Viewer(c.events(0, streams[0]), headers=own).open()
            second = await Viewer(c.events(0, streams[1]), headers=own).open()
            assert await _busy(Viewer(c.events(0, streams[0]), headers=own))
            assert await _refusals(c, 0, "person") == 1
            assert not await _busy(Viewer(c.events(1, streams[0]), headers=own))
            theirs = {"Authorization": other.http.headers["Authorization"]}
            assert not await _busy(Viewer(c.events(0, streams[0]), headers=theirs))
            for _ in range(3):
                assert not await _busy(Viewer(c.events(0, streams[0])))
            await first.cut()

            async def room() -> bool:
                return not await _busy(Viewer(c.events(0, streams[1]), headers=own))

            await eventually(room)
            assert await _busy(Viewer(c.events(0, streams[1]), headers=own))
            await second.cut()


@pytest.mark.nats
async def test_a_full_gateway_says_when_to_come_back(nats_server: NatsServer, tmp_path: Path) -> None:
    """A hundred at once for three places: three watch, everyone else is told to come back, not all at the same time."""
    async with cluster(nats_server, tmp_path, archive=False, max_viewers=3, viewers_per_address=50) as c:
        async with await Client(c.url(0)).guest() as host:
            stream_id = (await host.start())["stream_id"]
        crowd = await asyncio.gather(*(Viewer(c.events(0, stream_id)).open() for _ in range(100)))
        busy = [viewer for viewer in crowd if viewer.events[0].name == "busy"]
        for viewer in busy:
            await viewer.ended()
        assert len(busy) == 97
        assert len({viewer.retry for viewer in busy}) > 50
        assert all(viewer.retry is not None and 1000 <= viewer.retry <= 5000 for viewer in busy)
        assert await _refusals(c, 0, "viewers") == 97
        for viewer in crowd:
            await viewer.cut()

        async def room() -> bool:
            return not await _busy(Viewer(c.events(0, stream_id)))

        await eventually(room)


class _Door(asyncio.Protocol):
    """Makes a viewer of every connection."""

    def __init__(self, made: list[Served]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # every transport here is one
        """Hand it over."""
        served = Served(transport)
        transport.set_protocol(served)
        self._made.append(served)


class Closes(Protocol):
    """What listens."""

    def close(self) -> None:
        """Listen no more."""


Ends = tuple[Closes, socket.socket, Served]


async def _by_the_loop(made: list[Served]) -> tuple[Closes, Any]:
    """A listening server whose connections are the loop's own."""
    listening = ports.listen("127.0.0.1", 0, "PORT")
    server = await asyncio.get_running_loop().create_server(lambda: _Door(made), sock=listening)
    return server, listening.getsockname()


async def _by_ourselves(made: list[Served]) -> tuple[Closes, Any]:
    """One whose connections are lines."""
    listening = ports.listen("127.0.0.1", 0, "PORT")
    lines, address = Lines(asyncio.get_running_loop()), listening.getsockname()
    accepting = Acceptor(listening, lines, lambda: _Door(made))

    class Both:
        """They end together."""

        def close(self) -> None:
            """End them."""
            accepting.close()
            lines.close()

    return Both(), address


Serves = Callable[..., Awaitable[Ends]]


@pytest.fixture(params=[_by_the_loop, _by_ourselves], ids=["transport", "line"])
def served(request: pytest.FixtureRequest) -> Serves:
    """Makes a client's bare socket, and the viewer that it is, on either kind of connection."""

    async def make(receive_buffer: int = 0) -> Ends:
        made: list[Served] = []
        loop = asyncio.get_running_loop()
        server, address = await request.param(made)
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.setblocking(False)  # noqa: FBT003 - the socket's own signature
        await loop.sock_connect(client, address)
        await eventually(lambda: bool(made))
        return server, client, made[0]

    return make


async def test_a_peer_that_takes_nothing_is_dropped(served: Serves, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its window stays shut for longer than the timeout: a machine that froze, or went away behind a proxy that did not."""
    monkeypatch.setattr(ports, "USER_TIMEOUT_MS", 1000)
    server, client, viewer = await served(receive_buffer=4096)
    loop = asyncio.get_running_loop()
    began = loop.time()
    viewer.write(b"x" * 1_000_000)
    await eventually(lambda: viewer.closed)
    assert loop.time() - began > 0.9
    client.close()
    server.close()


async def test_a_peer_that_stops_sending_has_gone(served: Serves) -> None:
    """A viewer that shuts its sending side down is ended at once: it may as well have closed."""
    server, client, viewer = await served()
    client.shutdown(socket.SHUT_WR)
    await eventually(lambda: viewer.closed)
    assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
    client.close()
    server.close()


@pytest.mark.parametrize("ended", [Served.expel, Served.end], ids=["expelled", "sent away"])
async def test_reading_slowly_keeps_no_place(
    served: Serves, ended: Callable[[Served], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is ended has a moment to take what waits, however little it takes at a time; the rest is dropped."""
    monkeypatch.setattr(viewers, "EXPELLED_S", 0.2)
    monkeypatch.setattr(viewers, "LEAVE_S", 0.2)
    server, client, viewer = await served(receive_buffer=4096)
    gone: list[Served] = []
    audience: Any = SimpleNamespace(leave=gone.append)
    viewer.write(b"x" * 20_000_000)
    viewer.audience = audience
    ended(viewer)

    def trickle() -> bool:
        with suppress(BlockingIOError, ConnectionResetError):
            client.recv(1000)
        return gone == [viewer]

    assert not trickle()
    await eventually(trickle)
    client.close()
    server.close()


async def test_one_that_is_sent_away_is_never_live_again(served: Serves, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last frames wait in its buffer: nothing more is written after the `retry:`, and all of it arrives."""
    monkeypatch.setattr(viewers, "LEAVE_S", PATIENCE_S)
    server, client, viewer = await served(receive_buffer=4096)
    loop = asyncio.get_running_loop()
    viewer.write(b"x" * 500_000)
    viewer.end()
    assert viewer.closed
    viewer.write(b"y" * 1000)
    received = b""
    async with asyncio.timeout(PATIENCE_S):
        while part := await loop.sock_recv(client, 65536):
            received += part
    assert received[:500_000] == b"x" * 500_000
    assert received[500_000:].startswith(b"retry: ")
    assert b"y" not in received[500_012:]
    client.close()
    server.close()
