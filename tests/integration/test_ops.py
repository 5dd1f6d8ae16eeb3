"""The internal port: probes and metrics for whoever asks properly, and little patience with anybody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from infra.errors import BadSettings
from infra.telemetry import ops
from infra.telemetry.answers import Answer
from infra.telemetry.ops import OpsServer, Readiness
from tests.ups import readyz
from tests.waits import PATIENCE_S


@asynccontextmanager
async def serving(readiness: Readiness) -> AsyncIterator[str]:
    """A running internal port; its address."""
    server = OpsServer(readiness, "127.0.0.1", 0)
    await server.start()
    try:
        yield server.url
    finally:
        await server.stop()


async def said_to(url: str, request: bytes) -> bytes:
    """Everything that is answered to raw bytes, until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(url).port)
    writer.write(request)
    async with asyncio.timeout(PATIENCE_S):
        answer = await reader.read()
    writer.close()
    return answer


async def test_ready_is_when_all_conditions_hold() -> None:
    """503 with each reason until then; alive all the time; and not ready again when one is lost."""
    readiness = Readiness()
    readiness.expect("nats", "connecting")
    readiness.expect("store", "opening")
    async with serving(readiness) as url, httpx.AsyncClient() as client:
        assert await readyz(url) == (503, {"ready": False, "missing": {"nats": "connecting", "store": "opening"}})
        assert (await client.get(f"{url}/healthz")).status_code == 200
        readiness.met("nats")
        readiness.met("store")
        assert await readyz(url) == (200, {"ready": True, "missing": {}})
        readiness.expect("nats", "the broker is away")
        assert (await readyz(url))[0] == 503
        metrics = await client.get(f"{url}/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "# TYPE ovation_viewers gauge" in metrics.text
        assert (await client.get(f"{url}/secret")).status_code == 404
        assert (await client.get(f"{url}/healthz?verbose=1")).status_code == 200


async def test_a_connection_stays_and_routes_are_added() -> None:
    """Gateways ask for every part over the same few connections; what a route raises is a 500 and no broken connection."""

    async def route(path: str, query: str) -> Answer:
        if query == "broken":
            message = "a mistake"
            raise RuntimeError(message)
        return Answer(503, "text/plain", f"{path}?{query}".encode(), "no-cache", retry_after=1)

    server = OpsServer(Readiness(), "127.0.0.1", 0)
    server.mount("/origin/", route)
    await server.start()
    try:
        request = b"GET /origin/a?b=1 HTTP/1.1\r\n\r\nGET /origin/a?broken HTTP/1.1\r\n\r\n"
        said = await said_to(server.url, request + b"HEAD /origin/c HTTP/1.1\r\nConnection: close\r\n\r\n")
    finally:
        await server.stop()
    assert said.count(b"HTTP/1.1 ") == 3
    assert b"retry-after: 1\r\n" in said
    assert b"cache-control: no-cache\r\n" in said
    assert b"/origin/a?b=1HTTP/1.1 500 " in said
    assert said.endswith(b"connection: close\r\n\r\n")


@pytest.mark.parametrize(
    "request_", [b"\r\n\r\n", b"nonsense\r\n\r\n", b"\x16\x03\x01\x00\r\n\r\n", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n"]
)
async def test_nonsense_is_bounded(request_: bytes) -> None:
    """What is no request is answered with 404 or nothing, and the next probe is served."""
    async with serving(Readiness()) as url:
        assert (await said_to(url, request_))[:12] in (b"", b"HTTP/1.1 404")
        assert (await readyz(url))[0] == 200


async def test_a_silent_caller_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request holds a connection for seconds, not for ever."""
    monkeypatch.setattr(ops, "READ_S", 0.05)
    async with serving(Readiness()) as url:
        assert await said_to(url, b"GET /healthz HTTP/1.1\r\n") == b""


async def test_a_taken_port_is_named() -> None:
    """With the variable that moves it."""
    async with serving(Readiness()) as url:
        with pytest.raises(BadSettings, match=f"OVATION_OPS_PORT={httpx.URL(url).port}"):
            await OpsServer(Readiness(), "127.0.0.1", httpx.URL(url).port or 0).start()
