"""A hub with a bare door in front of it, on a real broker and a real store."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from gateway.fanout.admission import HEAD
from gateway.fanout.deflate import GZIP_HEADER
from gateway.fanout.hub import Hub
from gateway.fanout.sampling import cohort_of
from gateway.fanout.viewer import Viewer as Served
from gateway.history import History
from infra.environment import load
from infra.jetstream.reader import Reader
from infra.settings import Settings
from infra.sqlite import Database, SqliteComments
from schemas import codec, subjects
from schemas.items import Item
from schemas.records import Broadcaster, StreamRecord
from tests.broker import Broker, broker, fresh_stream
from tests.listener import close_all
from tests.viewer import Viewer


@dataclass
class Gateway:
    """A hub with a bare door: no credentials, the same viewers."""

    hub: Hub
    broker: Broker
    record: StreamRecord
    url: str

    async def say(self, item: Item) -> int:
        """Publish an item to the stream's live log."""
        subject = subjects.live(self.record.shard, self.record.stream_id)
        return (await self.broker.publisher.publish(subject, codec.encode(item), uuid.uuid4().hex)).seq

    def viewer(self, person: int | None = None, **how: object) -> Viewer:
        """A viewer of the stream, not connected yet; *person* is who it is counted as."""
        url = self.url if person is None else f"{self.url}?person={person}"
        return Viewer(url, **how)  # type: ignore[arg-type]  # a test's own keywords


class Door(asyncio.Protocol):
    """Reads a request head and hands the transport to the hub."""

    def __init__(self, hub: Hub, record: StreamRecord) -> None:
        self._hub = hub
        self._record = record
        self._head = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # every transport here is one
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect the head."""
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            self._task = asyncio.create_task(self._admit())

    async def _admit(self) -> None:
        lines = self._head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        query = parse_qs(urlsplit(lines[0].split(" ")[1]).query)
        served = Served(self._transport)
        self._transport.set_protocol(served)
        served.gzip = "accept-encoding" in headers
        served.person = int(query.get("person", ["0"])[0])
        served.cohort = cohort_of(served.person)
        audience = await self._hub.admit(served, self._record)
        served.transport.write(HEAD + (b"content-encoding: gzip\r\n\r\n" + GZIP_HEADER if served.gzip else b"\r\n"))
        last_id = int(headers["last-event-id"]) if "last-event-id" in headers else None
        self._hub.serve(served, audience, last_id, int(query.get("backfill", ["50"])[0]))


@asynccontextmanager
async def gateway(
    url: str,
    folder: Path,
    record: StreamRecord | None = None,
    settings: Settings | None = None,
    reads: type[Reader] = Reader,
) -> AsyncIterator[Gateway]:
    """One hub on a free port."""
    settings = settings or load({})
    record = record or StreamRecord(
        stream_id=fresh_stream(), broadcaster=Broadcaster(id="ada", name="Ada"), title="t", key_sha256="", created_at=1
    )
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with broker(url, reads=reads) as b:
        database = await Database.open(folder / "store.sqlite")
        history = History(SqliteComments(database), b.reader, b.clock)
        hub = Hub(settings, b.clock, b.connection, b.reader, history, b.counters, f"g{uuid.uuid4().hex[:8]}")
        await hub.start()
        server = await asyncio.get_running_loop().create_server(lambda: Door(hub, record), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield Gateway(hub, b, record, f"http://127.0.0.1:{port}/")
        finally:
            await close_all()
            server.close()
            await hub.drain(0)
            await hub.stop()
            await database.close()
