"""Replays on a real broker and a real store, with a clock that is moved by hand and items at times of the test's choosing."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import structs

from gateway.access import Access
from gateway.auth import Authenticator
from gateway.directory import StreamDirectory
from gateway.fanout.admission import EventsRequest
from gateway.fanout.hub import Hub
from gateway.granted import Granted
from gateway.history import History
from gateway.replay.admission import ReplayAdmission
from gateway.replay.replays import Replays
from gateway.replay.viewer import ReplayViewer
from infra.clock import HandClock
from infra.environment import load
from infra.jetstream.grants import FOLLOWS, INVITATIONS, Grants
from infra.settings import Settings
from infra.sqlite import Database, SqliteComments, SqliteStreams
from infra.stores import LoggedItem
from schemas import codec, subjects
from schemas.items import Item
from schemas.records import Broadcaster, StreamRecord
from tests.broker import Broker, broker, fresh_stream
from tests.doors import Door
from tests.listener import close_all
from tests.viewer import Viewer
from tests.waits import eventually

#: How long the stream of a test lasted, and how long ago it began.
LASTED_S = 60
AGO_S = 3600
SECRET = "0123456789abcdef0123456789abcdef"


@dataclass
class Stage:
    """One gateway's replays of one stream that has ended, unless the test says otherwise."""

    hub: Hub
    broker: Broker
    store: SqliteComments
    directory: StreamDirectory
    authenticator: Authenticator
    replays: Replays
    clock: HandClock
    record: StreamRecord
    url: str

    @property
    def begins_ms(self) -> int:
        """When the stream began."""
        assert self.record.started_at is not None
        return self.record.started_at

    async def log(self, item: Item) -> int:
        """Put an item on the live log, now; its seq."""
        subject = subjects.live(0, self.record.stream_id)
        return (await self.broker.publisher.publish(subject, codec.encode(item), uuid.uuid4().hex)).seq

    async def play(self, *said: tuple[float, Item]) -> list[int]:
        """Items of the past: in the store with the seconds after the stream's beginning, and no longer on the log; their seqs.

        A log tells its own time, and it was not there an hour ago.
        """
        rows = []
        for seconds, item in said:
            at_ms = self.begins_ms + round(seconds * 1000)
            seq = await self.log(item)
            rows.append(
                LoggedItem(
                    log=subjects.live_log(0),
                    stream_id=self.record.stream_id,
                    seq=seq,
                    at_ms=at_ms,
                    payload=codec.encode(item),
                    item=item,
                )
            )
        log, last = subjects.live_log(0), rows[-1].seq
        await self.store.write(rows, {log: last})
        await self.broker.connection.request(f"$JS.API.STREAM.PURGE.{log}", json.dumps({"seq": last + 1}).encode())
        return [row.seq for row in rows]

    def change(self, **fields: object) -> None:
        """Change the stream's record, as its next revision."""
        self.record = structs.replace(self.record, **fields)
        self.directory.put(self.record, self.clock.now_ms() + int(self.clock.monotonic() * 1000))

    def viewer(self, query: str = "", **how: object) -> Viewer:
        """Somebody who watches the replay, not connected yet."""
        return Viewer(f"{self.url}?{query}" if query else self.url, **how)  # type: ignore[arg-type]  # a test's own keywords

    @property
    def served(self) -> list[ReplayViewer]:
        """The gateway's side of the viewers."""
        audience = self.hub.audience(self.record.stream_id)
        return [each for each in audience.viewers if isinstance(each, ReplayViewer)] if audience else []

    async def idle(self) -> None:
        """Have the gateway let go of the stream, as it does when nobody has watched for a while."""
        await self.hub.audiences.close_idle(self.broker.clock.monotonic() + 3600)
        assert self.hub.audience(self.record.stream_id) is None

    async def settle(self) -> None:
        """Serve what is due by the hand's position, and nothing else."""
        while True:
            before = [viewer.position for viewer in self.served]
            self.replays.turn()
            await eventually(lambda: not any(viewer.loading for viewer in self.served))
            self.replays.turn()
            if before == [viewer.position for viewer in self.served]:
                break

    async def advance(self, seconds: float) -> None:
        """Let time pass, and whatever is due happen."""
        self.clock.advance(seconds)
        await self.settle()

    async def texts(self, viewer: Viewer) -> list[str]:
        """What a viewer was told, once it has taken all that it was sent."""
        await self.settle()
        [served] = self.served
        await viewer.until(lambda v: v.last_id == served.position)
        return viewer.texts


@asynccontextmanager
async def stage(url: str, folder: Path, *, live: bool = False, settings: Settings | None = None) -> AsyncIterator[Stage]:
    """A stream that began an hour ago and lasted a minute, or is *live* still."""
    settings = settings or load({"OVATION_JWT_SECRET": SECRET})
    async with broker(url) as b:
        database = await Database.open(folder / "store.sqlite")
        store, clock = SqliteComments(database), HandClock(b.clock.now_ms())
        begins = clock.now_ms() - AGO_S * 1000
        record = StreamRecord(
            stream_id=fresh_stream(), broadcaster=Broadcaster(id="ada", name="Ada"), title="t", key_sha256="",
            created_at=begins, started_at=begins,
            status="live" if live else "ended", ended_at=None if live else begins + LASTED_S * 1000,
        )  # fmt: skip
        history = History(store, b.reader, b.clock)
        hub = Hub(settings, b.clock, b.connection, b.reader, history, b.counters, f"g{uuid.uuid4().hex[:8]}")
        await hub.start()
        directory = StreamDirectory(b.records, SqliteStreams(database))
        directory.on_change(hub.changed)
        directory.put(record, 1)
        replays = Replays(clock)
        authenticator = Authenticator(settings, clock)
        access = Access(*(Granted(Grants(b.bucket(name), b.clock)) for name in (FOLLOWS, INVITATIONS)))
        admission = ReplayAdmission(hub, directory, authenticator, access, replays, clock)

        working: set[asyncio.Task[None]] = set()

        def opens(transport: asyncio.Transport, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
            query = urlsplit(target).query
            working.add(admission.take(transport, EventsRequest.read(record.stream_id, query, headers, "", b"replay")))

        server = await asyncio.get_running_loop().create_server(lambda: Door(opens), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield Stage(hub, b, store, directory, authenticator, replays, clock, record, f"http://127.0.0.1:{port}/")
        finally:
            await close_all()
            server.close()
            await hub.drain(0)
            await replays.stop()
            await hub.stop()
            await database.close()
