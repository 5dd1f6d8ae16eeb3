"""Through the real nginx and HAProxy, configured as documented: events come at once, clients keep their address."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.backends.nats import NatsServer
from tests.cluster import Cluster, cluster
from tests.processes import Client
from tests.proxies import through_haproxy, through_nginx
from tests.socketviewer import SocketViewer
from tests.viewer import Viewer
from tests.waits import PATIENCE_S, eventually

pytestmark = [pytest.mark.nats, pytest.mark.e2e]

Through = Callable[[str, Cluster, Path], AbstractAsyncContextManager[int]]
THROUGH: dict[str, Through] = {"nginx": through_nginx, "haproxy": through_haproxy}


@asynccontextmanager
async def behind(
    name: str, request: pytest.FixtureRequest, nats: NatsServer, folder: Path, limit: int = 0
) -> AsyncIterator[tuple[Cluster, int]]:
    """A gateway behind the proxy called *name*, and the proxy's port. Direct connections come from 127.0.0.1, too."""
    program = request.getfixturevalue(name)
    # Optional for HAProxy, which is told to be required: the test itself comes from 127.0.0.1 as well, and without a header.
    proxy = {"nginx": "off", "haproxy": "optional"}[name]
    settings: Any = {"trusted_proxies": "127.0.0.1", "proxy_protocol": proxy, "viewers_per_address": limit}
    async with cluster(nats, folder, archive=False, **settings) as c, THROUGH[name](program, c, folder) as port:
        yield c, port


@pytest.mark.parametrize("encoding", ["plain", "gzip"])
@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_a_comment_comes_through_at_once(
    name: str,
    encoding: str,
    request: pytest.FixtureRequest,
    nats_server: NatsServer,
    tmp_path: Path,
) -> None:
    """Comments come one by one, as a rule within a second; gzip arrives as the gateway packed it; a resume is whole."""
    async with behind(name, request, nats_server, tmp_path) as (c, port), await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        viewer = Viewer(f"http://127.0.0.1:{port}/api/v1/streams/{stream_id}/events", gzip=encoding == "gzip")
        await viewer.open()
        took = []
        for n in range(10):
            began = time.monotonic()
            await host.post(stream_id, f"comment {n}")
            await viewer.until(lambda v: len(v.texts) == n + 1)  # noqa: B023 - awaited here
            took.append(time.monotonic() - began)
        # A proxy that holds something back does so each time; a busy machine now and then.
        assert sorted(took)[len(took) // 2] < 1.0
        assert viewer.response_headers.get("content-encoding") == ("gzip" if encoding == "gzip" else None)
        assert viewer.response_headers["cache-control"] == "no-cache, no-transform"
        await viewer.cut()
        await host.post(stream_id, "missed")
        await viewer.open()
        await viewer.until(lambda v: v.texts[-1] == "missed")
        assert (viewer.faults, viewer.gaps) == ([], [])
        await viewer.cut()


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_a_websocket_comes_through(
    name: str, request: pytest.FixtureRequest, nats_server: NatsServer, tmp_path: Path
) -> None:
    """Joined, posted, seen, cut and resumed through the proxy, which adds nothing and holds nothing back."""
    async with behind(name, request, nats_server, tmp_path) as (c, port), await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        viewer = SocketViewer(f"http://127.0.0.1:{port}", query=await host.ticket(stream_id))
        await (await viewer.open()).join(stream_id)
        for n in range(5):
            assert (await viewer.post(f"comment {n}"))["status"] == "accepted"
            await viewer.until(lambda v: len(v.texts) == n + 1)  # noqa: B023 - awaited here
        await viewer.cut()
        await host.post(stream_id, "missed")
        await viewer.again()
        await viewer.until(lambda v: v.texts[-1] == "missed")
        c.gateways[0].signal(15)
        await viewer.ended()

        assert (viewer.faults, viewer.gaps, viewer.close_code) == ([], [], 1001)


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
async def test_the_clients_address_is_its_own(
    name: str, request: pytest.FixtureRequest, nats_server: NatsServer, tmp_path: Path
) -> None:
    """With one viewer per address: a second from the same is busy, one from another is not, whatever it claims to be."""
    lie = "X-Forwarded-For: 203.0.113.77"
    async with behind(name, request, nats_server, tmp_path, limit=1) as (c, port):
        async with await Client(c.url(0)).guest() as host:
            stream_id = (await host.start())["stream_id"]
        path = f"/api/v1/streams/{stream_id}/events"
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(events(port, path, "127.0.0.3"))
            again = await stack.enter_async_context(events(port, path, "127.0.0.3", lie))
            other = await stack.enter_async_context(events(port, path, "127.0.0.4"))
            assert (first, again, other) == ("comments", "busy", "comments")

        async def room() -> bool:
            async with events(port, path, "127.0.0.3") as event:
                return event == "comments"

        await eventually(room)


@asynccontextmanager
async def events(port: int, path: str, source: str, *headers: str) -> AsyncIterator[str]:
    """Watch from the local address *source*; the first event's name."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write("\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await reader.readuntil(b"event: ")
            yield (await reader.readline()).decode().strip()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
