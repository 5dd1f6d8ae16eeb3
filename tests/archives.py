"""The archive inside a test's own process, over a real broker and a real file, with a hand on the store's door."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.pull import Pull
from infra.sqlite import Database, SqliteComments, SqliteStreams
from infra.stores import LoggedItem
from schemas import codec, subjects
from schemas.items import Item
from tests.broker import Broker
from tests.waits import eventually
from workers.archive.run import DURABLE, run
from workers.waiting import STARTING

LOG = subjects.live_log(0)


class WatchedComments(SqliteComments):
    """The real store; `before` runs before each write and may hold it up or fail it, `after` when it is committed."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0
        self.before: Callable[[Sequence[LoggedItem]], None] = lambda _items: None
        self.commits: list[tuple[list[int], int]] = []

    async def write(self, items: Sequence[LoggedItem], archived_through: Mapping[str, int]) -> None:
        """Write, when the gate is open."""
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        self.before(items)
        await super().write(items, archived_through)
        self.commits.append(([item.seq for item in items], archived_through.get(LOG, 0)))


class Archive:
    """A running archive."""

    def __init__(self, broker: Broker, database: Database, clock: Clock) -> None:
        self.broker = broker
        self.database = database
        self.comments = WatchedComments(database)
        self.streams = SqliteStreams(database)
        self.trouble = STARTING
        self.alarm = ""
        #: To ask how its consumer is.
        self.pull = Pull(broker.connection, LOG, DURABLE)
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(
            run(
                settings=broker.settings,
                connection=broker.connection,
                comments=self.comments,
                streams=self.streams,
                clock=clock,
                stopping=self.stopping,
                trouble=self._told,
                behind=self._alarmed,
                store=str(database.path),
            )
        )

    def _told(self, cause: str) -> None:
        self.trouble = cause

    def _alarmed(self, alarm: str) -> None:
        self.alarm = alarm

    async def caught_up(self, timeout: float = 30.0) -> None:
        """Wait until the store says that it has everything."""

        async def done() -> bool:
            try:
                return await self.comments.archived_through(LOG) >= (await self.broker.reader.state(LOG)).last
            except Unavailable:
                return False

        await eventually(done, timeout=timeout)

    async def stop(self) -> None:
        """As SIGTERM does."""
        self.stopping.set()
        await self.task


@asynccontextmanager
async def archive(broker: Broker, path: Path, clock: Clock | None = None) -> AsyncIterator[Archive]:
    """An archive that writes *path*, stopped in the end."""
    database = await Database.open(path)
    running = Archive(broker, database, clock or broker.clock)
    try:
        yield running
    finally:
        running.comments.gate.set()
        await running.stop()
        await database.close()


async def say(broker: Broker, stream_id: str, item: Item, msg_id: str) -> int:
    """Put *item* on the live log as a gateway does; its seq."""
    return (await broker.publisher.publish(subjects.live(0, stream_id), codec.encode(item), msg_id)).seq
