"""A media worker's origin that says what a test tells it to, and counts who asks."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from tests.broker import Broker


class Scripted:
    """Answers by path and query below `/origin/{stream_id}/`; what it knows nothing of is 404."""

    def __init__(self, stream_id: str, worker: str) -> None:
        self.stream_id = stream_id
        self.worker = worker
        self.asked: Counter[str] = Counter()
        #: Path and query -> status, `Cache-Control`, body.
        self.says: dict[str, tuple[int, str, bytes]] = {}
        #: Requests for these wait until their event is set.
        self.holds: dict[str, asyncio.Event] = {}
        self.port = 0
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()

    def playlist(self, path: str, body: bytes, *, keep_s: int = 0) -> None:
        """Say a playlist from now on; *keep_s* is how long an answer may be kept."""
        self.says[path] = 200, f"max-age={keep_s}" if keep_s else "no-cache", body

    def piece(self, path: str, body: bytes) -> None:
        """Say a segment, a part or an initialisation from now on."""
        self.says[path] = 200, "public, max-age=31536000, immutable", body

    async def start(self, port: int = 0) -> "Scripted":
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """As kill -9 would."""
        if self._server is not None:
            self._server.close()
            for line in list(self._lines):
                line.transport.abort()
            self._server = None

    async def own(self, b: Broker, generation: int) -> None:
        """Take the stream's lease, whoever has it."""
        leases = b.bucket("leases")
        key = f"media.{self.stream_id}"
        value = msgspec.json.encode(
            {"worker": self.worker, "generation": generation, "origin": f"http://127.0.0.1:{self.port}", "at": 0}
        )
        former = await leases.get(key)
        await (leases.update(key, value, former.revision) if former else leases.create(key, value))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                name = head.split(b" ", 2)[1].decode().removeprefix(f"/origin/{self.stream_id}/")
                self.asked[name] += 1
                if name in self.holds:
                    await self.holds[name].wait()
                status, cache, body = self.says.get(name, (404, "no-store", b'{"owner": null}'))
                lines = f"HTTP/1.1 {status} X\r\ncache-control: {cache}\r\ncontent-length: {len(body)}\r\n"
                lines += "retry-after: 1\r\n" if status == 503 else ""
                writer.write(lines.encode() + b"\r\n" + body)
        self._lines.discard(writer)
        writer.close()


@asynccontextmanager
async def scripted(stream_id: str, worker: str = "one") -> AsyncIterator[Scripted]:
    """A running origin."""
    made = await Scripted(stream_id, worker).start()
    try:
        yield made
    finally:
        await made.stop()
