"""The edge of a gateway with a small application behind it: real sockets, and nothing that needs a broker."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from gateway import access
from gateway.access import Access
from gateway.auth import Authenticator
from gateway.directory import StreamDirectory
from gateway.edge.protocol import Edge
from gateway.edge.server import serve
from gateway.exchange import Way
from gateway.fanout.admission import Admission
from gateway.fanout.doorway import doorway_with
from gateway.fanout.hub import Hub
from gateway.fanout.protocol import protocol_with
from gateway.recess import Recess
from infra import ports
from infra.environment import load
from infra.lifecycle import Lifecycle
from infra.telemetry import metrics
from schemas.records import StreamRecord
from tests.waits import PATIENCE_S


class Edged:
    """A running edge."""

    def __init__(self, **settings: object) -> None:
        self.settings = load({f"OVATION_{name.upper()}": str(value) for name, value in settings.items()})
        self.lifecycle = Lifecycle("edge", self.settings)
        self.listening = ports.listen("127.0.0.1", 0, "OVATION_HTTP_PORT")
        self.port: int = self.listening.getsockname()[1]
        #: Requests that wait at /slow, and for events, go on when this is set.
        self.go = asyncio.Event()
        #: Requests that have arrived there.
        self.waiting = 0
        #: Connections that were accepted.
        self.accepted = 0
        self.drains: list[float] = []
        #: The drain lasts until this is set.
        self.drained = asyncio.Event()
        self.drained.set()
        #: What answers posted comments, where not the application does, and when they begin.
        self.posting: Way | None = None
        self.recess = Recess()
        self._lines: list[Line] = []

    async def app(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Answer with the client, the scheme and the body; at /slow when told."""
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message["more_body"]
        if scope["path"] == "/slow":
            self.waiting += 1
            await self.go.wait()
        answer = json.dumps({"client": scope["client"], "scheme": scope["scheme"], "body": body.decode()}).encode()
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def known(self, _stream_id: str) -> None:
        """Stand in for a directory that has to ask for every stream."""

    async def get(self, stream_id: str) -> StreamRecord:
        """... and finds none, when told."""
        self.waiting += 1
        # A wait within a wait, as for the broker: cancelled it takes some turns of the loop to end.
        await asyncio.wait_for(self.go.wait(), 60)
        raise access.not_found(stream_id)

    async def drain(self, seconds: float) -> None:
        """Stand in for the viewers' drain: none are here."""
        self.drains.append(seconds)
        await self.drained.wait()

    async def run(self, *, shared: bool) -> None:
        """Serve until `lifecycle.stopping`."""
        # Whoever asks for events gets as far as the directory; everything else goes through to the protocol behind.
        admission = Admission(
            cast("Hub", None), cast("StreamDirectory", self), cast("Authenticator", None), cast("Access", None)
        )
        behind = protocol_with(admission, Edge(self.settings), posting=self.posting, recess=self.recess)
        edged, door = self, doorway_with(admission, behind)

        class Counted(door):  # type: ignore[misc, valid-type]  # made where it is needed
            """Counts connections."""

            __slots__ = ()

            def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - uvicorn's
                super().__init__(*arguments, **named)
                edged.accepted += 1

        await serve(self.app, Counted, behind.edge, self.listening, self.lifecycle, self.drain, shared=shared)

    async def open(self, source: str = "127.0.0.1") -> "Line":
        """Connect from *source*."""
        self._lines.append(Line(*await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))))
        return self._lines[-1]

    async def close(self) -> None:
        """Hang up all that was opened."""
        for line in self._lines:
            await line.close()


class Line:
    """A client's connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, *parts: bytes) -> "Line":
        """Send bytes; to a peer that has hung up, nowhere, as on asyncio's own loop: uvloop raises what is no OSError."""
        if not self.writer.is_closing():
            self.writer.write(b"".join(parts))
        return self

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers, body."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *rest = head.decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(first.split(" ")[1]), headers, body

    async def told(self) -> dict[str, Any]:
        """Read one answer of the application."""
        status, _, body = await self.answer()
        assert status == 200, body
        told: dict[str, Any] = json.loads(body)
        return told

    async def rest(self) -> bytes:
        """Everything until the other side closes; a reset counts as closing."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def close(self) -> None:
        """Hang up."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def edge(*, shared: bool = False, **settings: object) -> AsyncIterator[Edged]:
    """A running edge, ended as a gateway is."""
    made = Edged(**settings)
    running = asyncio.create_task(made.run(shared=shared))
    try:
        yield made
    finally:
        await made.close()
        made.go.set()
        made.drained.set()
        if not made.lifecycle.stopping.is_set():
            made.lifecycle.stop()
        await asyncio.wait_for(running, PATIENCE_S)


def refused(reason: str) -> float:
    """How many connections this process has turned away for *reason*."""
    return metrics.REGISTRY.get_sample_value("ovation_connections_refused_total", {"reason": reason}) or 0.0
