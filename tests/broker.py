"""The JetStream parts of one process, connected to a test's server with our own topology applied."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from infra.clock import Clock, SystemClock
from infra.environment import load
from infra.jetstream.connection import Connection
from infra.jetstream.counters import Counters
from infra.jetstream.feed import Feed
from infra.jetstream.kv import Bucket
from infra.jetstream.leases import MachineLease
from infra.jetstream.limits import Limits
from infra.jetstream.publisher import Publisher
from infra.jetstream.reader import Reader
from infra.jetstream.streams import StreamRecords
from infra.jetstream.topology import Topology, wait_ready, wanted
from infra.settings import Settings
from schemas.streamid import new_stream_id


@dataclass(frozen=True)
class Broker:
    """One process's view of the broker."""

    connection: Connection
    publisher: Publisher
    reader: Reader
    feed: Feed
    clock: Clock
    settings: Settings

    @property
    def limits(self) -> Limits:
        """The limiter."""
        return Limits(self.connection, self.publisher, self.reader, self.clock)

    @property
    def counters(self) -> Counters:
        """The counters."""
        return Counters(self.publisher, self.reader)

    @property
    def records(self) -> StreamRecords:
        """The stream records."""
        return StreamRecords(self.bucket("streams"), self.publisher)

    def bucket(self, name: str) -> Bucket:
        """A bucket."""
        return Bucket(name, self.connection, self.publisher, self.reader)

    def lease(self, clock: Clock | None = None) -> MachineLease:
        """A machine lease, not started."""
        return MachineLease(self.bucket("leases"), clock or self.clock, "test")


@asynccontextmanager
async def broker(
    url: str, settings: Settings | None = None, *, wait_s: float = 10.0, apply: bool = True, reads: type[Reader] = Reader
) -> AsyncIterator[Broker]:
    """Connect to *url* and apply the topology, unless a cluster with settings of its own did; *reads* is its kind of reader."""
    clock = SystemClock()
    settings = settings or load({})
    connection = await Connection(url, "test", clock).open()
    try:
        await wait_ready(connection)
        if apply:
            await Topology(connection).apply(wanted(settings, clock))
        publisher, reader = Publisher(connection, wait_s), reads(connection)
        yield Broker(connection, publisher, reader, Feed(connection), clock, settings)
    finally:
        await connection.close()


def fresh_stream() -> str:
    """A stream id no other test uses."""
    return new_stream_id(uuid.uuid4().int >> 88)
