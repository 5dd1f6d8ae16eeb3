"""A viewer for tests: a raw socket, an SSE parser, and a proof of the chain. Shares no code with the gateway.

It keeps what a careful client would: its last id, every item once, and a list of everything that broke the contract.
"""

import asyncio
import contextlib
import json
import zlib
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from tests.listener import OPEN, Listener


@dataclass
class Event:
    """One dispatched event."""

    id: str | None
    name: str
    data: Any


class SseParser:
    """WHATWG HTML 9.2.6, as much of it as the contract uses. `feed` takes text cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, list[str]] = {}
        self.comments = 0
        self.retry: int | None = None

    def feed(self, data: bytes) -> list[Event]:
        """Dispatch what *data* completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = []
        for line in lines:
            if not line:
                if "data" in self._fields:
                    data_text = "\n".join(self._fields["data"])
                    name = self._fields.get("event", ["message"])[-1]
                    ids = self._fields.get("id")
                    events.append(Event(ids[-1] if ids else None, name, json.loads(data_text)))
                self._fields = {}
            elif line.startswith(b":"):
                self.comments += 1
            else:
                name, _, value = line.decode().partition(":")
                if name == "retry":
                    self.retry = int(value)
                self._fields.setdefault(name, []).append(value.removeprefix(" "))
        return events


class Chunks:
    """RFC 9112 7.1, as a proxy frames a body that has no length. `feed` takes bytes cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """The payload in *data*."""
        self._rest += data
        out = b""
        while self._rest:
            if self._left > 2:
                part = self._rest[: self._left - 2]
                out, self._rest, self._left = out + part, self._rest[len(part) :], self._left - len(part)
            elif self._left:
                # The line break that ends a chunk, which may come in two pieces.
                cut = min(self._left, len(self._rest))
                self._rest, self._left = self._rest[cut:], self._left - cut
            else:
                size, line, rest = self._rest.partition(b"\r\n")
                if not line:
                    break
                self._rest, self._left = rest, int(size, 16) + 2
        return out


#: A head that takes longer does not come any more: a gateway that starts again takes a few seconds.
HEAD_S = 30.0


@dataclass(eq=False)
class Viewer(Listener):
    """Connects, reads, resumes."""

    url: str
    gzip: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    backfill: int | None = None
    last_id: int | None = None
    events: list[Event] = field(default_factory=list)
    status: int = 0
    response_headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    #: Milliseconds after which it was last told to come back.
    retry: int | None = None
    #: Comment lines on its newest connection.
    heartbeats: int = 0
    _writer: asyncio.StreamWriter | None = None

    async def open(self) -> "Viewer":
        """Connect once and read the response head; events are read in the background."""
        parts = urlsplit(self.url)
        reader, self._writer = await asyncio.open_connection(parts.hostname, parts.port)
        query = [parts.query] if parts.query else []
        if self.backfill is not None and self.last_id is None:
            query.append(f"backfill={self.backfill}")
        lines = [f"GET {parts.path}?{'&'.join(query)} HTTP/1.1", f"Host: {parts.netloc}", "Accept: text/event-stream"]
        if self.gzip:
            lines.append("Accept-Encoding: gzip")
        if self.last_id is not None:
            lines.append(f"Last-Event-ID: {self.last_id}")
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        try:
            async with asyncio.timeout(HEAD_S):
                await self._read_head(reader)
        except (OSError, EOFError):
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
            raise
        except asyncio.CancelledError:
            self._writer.transport.abort()
            raise
        self.connections += 1
        OPEN.add(self)
        self._prev = self.last_id
        self._task = asyncio.create_task(self._read(reader))
        if self.status == 200 and self._prev is None:
            # It is sent at once, and tells where this viewer begins: what is posted from here on is news to it.
            await self.until(lambda v: v.events or v.over)
        return self

    async def cut(self) -> None:
        """Lose the network: no goodbye."""
        OPEN.discard(self)
        if self._writer is not None:
            self._writer.transport.abort()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            assert self._writer is not None
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()

    @property
    def transport(self) -> asyncio.Transport:
        """The socket's, while there is a connection."""
        assert self._writer is not None
        return cast("asyncio.Transport", self._writer.transport)

    async def _read_head(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1])
        self.response_headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)
        }

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser = SseParser()
        unzip = zlib.decompressobj(31) if self.response_headers.get("content-encoding") == "gzip" else None
        chunks = Chunks() if self.response_headers.get("transfer-encoding") == "chunked" else None
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                if chunks is not None:
                    chunk = chunks.feed(chunk)
                data = unzip.decompress(chunk) if unzip else chunk
                if self.status != 200:
                    self.body += data
                    continue
                for event in parser.feed(data):
                    self.take(event)
                self.retry, self.heartbeats = parser.retry, parser.comments
                self._moved.set()
        self._moved.set()

    def take(self, event: Event) -> None:
        """Keep one event, and note what is wrong with it."""
        self.events.append(event)
        if event.name == "gap":
            self.gaps.append(event.data)
            self._prev = event.data["to"]
            self._check(event.id is None, "an id on a gap")
        elif event.name == "comments":
            self._take_comments(event)
        else:
            self._check(event.id is None, f"an id on {event.name}")

    def _take_comments(self, event: Event) -> None:
        data = event.data
        self._check(event.id == str(data["to"]), f"id {event.id} is not to {data['to']}")
        self._follow(data["prev"], data["to"], data["items"])
        self.last_id = data["to"]
