"""The internal port: /healthz (alive), /readyz (may be sent work, or why not), /metrics. Never public."""

import asyncio
import contextlib
import json

from infra import ports
from infra.telemetry import metrics

#: A request line and a few headers; anything longer is not a probe.
MAX_REQUEST = 8192
READ_S = 5.0


#: Status, content type and body.
Answer = tuple[str, str, bytes]


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
    """Serves the three paths on an asyncio server."""

    def __init__(self, readiness: Readiness, host: str, port: int) -> None:
        """Port 0 chooses a free one; `url` tells which."""
        self._readiness = readiness
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        if self._server is None:
            return ""
        return f"http://{self._host}:{self._server.sockets[0].getsockname()[1]}"

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
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(READ_S):
                head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1] if head.count(b" ") >= 2 else b""
            status, kind, body = await self.answer(path.partition(b"?")[0])
            lines = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            writer.write(lines.encode() + body)
            await writer.drain()
        writer.close()

    async def answer(self, path: bytes) -> Answer:
        """What is said to a request for *path*."""
        match path:
            case b"/healthz":
                return "200 OK", "text/plain", b"alive\n"
            case b"/readyz":
                status = "200 OK" if self._readiness.ready else "503 Service Unavailable"
                body = {"ready": self._readiness.ready, "missing": self._readiness.missing}
                return status, "application/json", json.dumps(body).encode()
            case b"/metrics":
                return "200 OK", "text/plain; version=0.0.4", metrics.exposition()
            case _:
                return "404 Not Found", "text/plain", b"only /healthz, /readyz and /metrics are here\n"
