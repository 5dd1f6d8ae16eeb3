"""The internal port: /healthz (alive), /readyz (may be sent work, or why not), /metrics, and what a process adds. Never public.

HTTP/1.1 with connections that stay open: gateways ask a media worker for every part of every stream here.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from infra import ports
from infra.telemetry import logs, metrics
from infra.telemetry.answers import Answer

#: A request line and a few headers; anything longer is not a probe.
MAX_REQUEST = 8192
READ_S = 5.0
#: A connection that asks for nothing is closed after this long; proxies and gateways keep theirs for less.
IDLE_S = 75.0
#: Connections at once; gateways keep a few dozen each.
MOST_CONNECTIONS = 4096

#: `GET path?query` -> the answer; may wait.
Route = Callable[[str, str], Awaitable[Answer]]


class Readiness:
    """Named conditions; a process is ready when all of them hold."""

    def __init__(self) -> None:
        self._conditions: dict[str, str] = {}

    def expect(self, name: str, reason: str = "starting") -> None:
        """Add a condition that does not hold yet, and why."""
        self._conditions[name] = reason

    def met(self, name: str) -> None:
        """The condition holds."""
        self._conditions[name] = ""

    @property
    def ready(self) -> bool:
        """Whether all conditions hold."""
        return not any(self._conditions.values())

    @property
    def missing(self) -> dict[str, str]:
        """Condition -> why it does not hold."""
        return {name: reason for name, reason in self._conditions.items() if reason}


class OpsServer:
    """Serves the three paths, and the routes it is given, on an asyncio server."""

    def __init__(self, readiness: Readiness, host: str, port: int) -> None:
        """Port 0 chooses a free one; `url` tells which."""
        self._readiness = readiness
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._routes: dict[str, Route] = {}
        self._connections = 0
        self._log = logs.get(__name__)

    @property
    def url(self) -> str:
        """Where it listens."""
        if self._server is None:
            return ""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.sockets[0].getsockname()[1]}"

    def mount(self, prefix: str, route: Route) -> None:
        """Answer GET of every path that begins with *prefix* by *route*."""
        self._routes[prefix] = route

    async def start(self) -> None:
        """Listen.

        Raises:
            BadSettings: the port is taken, or the address is not this machine's; names it.
        """
        listening = ports.listen(self._host, self._port, "OVATION_OPS_PORT", both_families=True)
        self._server = await asyncio.start_server(self._serve, sock=listening, limit=MAX_REQUEST)

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                wait_s = READ_S
                while self._connections <= MOST_CONNECTIONS and await self._one(reader, writer, wait_s):
                    wait_s = IDLE_S
        finally:
            self._connections -= 1
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait_s: float) -> bool:
        """Answer one request; tells whether another may follow."""
        async with asyncio.timeout(wait_s):
            head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        method, target = (words[0], words[1]) if len(words) == 3 else ("", "")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        # A body would have to be read to find the next request: nobody here sends one.
        stays = words[-1] == "HTTP/1.1" and fields.get("connection", "").lower() != "close"
        stays = stays and fields.keys().isdisjoint(("content-length", "transfer-encoding"))
        path, _, query = target.partition("?")
        answer = await self.answer(path, query)
        writer.write(_head(answer, stays=stays))
        if method != "HEAD":
            writer.write(answer.body)
        async with asyncio.timeout(IDLE_S):
            await writer.drain()
        return stays

    async def answer(self, path: str, query: str) -> Answer:
        """What is said to a request for *path*."""
        match path:
            case "/healthz":
                return Answer(200, "text/plain", b"alive\n")
            case "/readyz":
                body = {"ready": self._readiness.ready, "missing": self._readiness.missing}
                return Answer(200 if self._readiness.ready else 503, "application/json", json.dumps(body).encode())
            case "/metrics":
                return Answer(200, "text/plain; version=0.0.4", metrics.exposition())
        for prefix, route in self._routes.items():
            if path.startswith(prefix):
                try:
                    return await route(path, query)
                except Exception:  # noqa: BLE001 - whatever it was, who asked gets an answer
                    self._log.exception("a route of the internal port failed", path=path)
                    return Answer(500, "text/plain", b"an error of ours\n")
        return Answer(404, "text/plain", b"only /healthz, /readyz and /metrics are here\n")


def _head(answer: Answer, *, stays: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"content-type: {answer.kind}",
        f"content-length: {len(answer.body)}",
    ]
    lines += [f"cache-control: {answer.cache}"] if answer.cache else []
    lines += [f"retry-after: {answer.retry_after}"] if answer.retry_after else []
    lines += [f"connection: {'keep-alive' if stays else 'close'}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
