"""A cluster that is slow, or takes one row less than the log has: comments wait or are put aside, never lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from infra.environment import load
from infra.errors import Unavailable
from infra.scylla import Address, ScyllaComments, ScyllaStreams
from infra.scylla import Database as Cluster
from infra.scylla.cluster import cluster_of
from schemas import subjects
from schemas.items import User
from tests.archives import LOG, say
from tests.backends.cassandra import CqlServer
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.contract.scylla_backend import empty
from tests.factories import comment
from tests.faults import LateProxy
from tests.waits import eventually
from workers.archive.run import run

pytestmark = pytest.mark.nats


class Running:
    """An archive over a cluster, in this process."""

    def __init__(self, b: Broker, database: Cluster) -> None:
        self.store = ScyllaComments(database)
        self.trouble = ""
        self.b = b
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(
            run(
                settings=b.settings,
                connection=b.connection,
                comments=self.store,
                streams=ScyllaStreams(database),
                clock=b.clock,
                stopping=self.stopping,
                trouble=self._told,
            )
        )

    def _told(self, cause: str) -> None:
        self.trouble = cause

    async def caught_up(self) -> None:
        """Wait until the store says that it has everything."""
        last = (await self.b.reader.state(LOG)).last

        async def done() -> bool:
            try:
                return await self.store.archived_through(LOG) >= last
            except Unavailable:
                return False

        await eventually(done, timeout=40)


@contextlib.asynccontextmanager
async def archiving(b: Broker, address: Address) -> AsyncIterator[Running]:
    """An archive that writes to *address*, stopped in the end."""
    database = await Cluster.open(address)
    running = Running(b, database)
    try:
        yield running
    finally:
        running.stopping.set()
        await running.task
        await database.close()


async def letters(b: Broker) -> list[str]:
    """Why something was put aside."""
    return [each.headers["Ovation-Reason"] for each in await b.reader.follow_from("DEAD", subjects.dead("archive"), 0)]


async def test_a_row_that_the_server_refuses_is_put_aside_alone(
    own_nats_server: NatsServer, keyspace: Address, tmp_path: Path
) -> None:
    """A user's id of 70,000 bytes is more than a key may have: that comment alone goes, with the server's own words."""
    await asyncio.to_thread(empty, keyspace)
    async with broker(own_nats_server.url, load({"OVATION_ARCHIVE_MAX_DELIVER": "2"})) as b, archiving(b, keyspace) as running:
        stream_id = fresh_stream()
        seqs = [await say(b, stream_id, comment(n), f"k{n}") for n in range(20)]
        bad = msgspec.structs.replace(comment(20), user=User(id="u" * 70_000, name="Long"))
        await say(b, stream_id, bad, "bad")
        seqs += [await say(b, stream_id, comment(n), f"k{n}") for n in range(21, 40)]
        await running.caught_up()
        assert [item.seq for item in await running.store.range(stream_id, 0, 2**53, 100)] == seqs
        [reason] = await letters(b)
        assert "refused 2 times" in reason
        assert "65535" in reason


async def test_a_missing_table_is_an_outage(own_nats_server: NatsServer, keyspace: Address, tmp_path: Path) -> None:
    """Rows are refused by a server that is there: all of them, so that nothing is put aside however often it is tried."""
    await asyncio.to_thread(empty, keyspace)
    lookups = f"{keyspace.keyspace}.lookups"
    table = await asyncio.to_thread(described, keyspace, lookups)
    async with broker(own_nats_server.url, load({"OVATION_ARCHIVE_MAX_DELIVER": "1"})) as b, archiving(b, keyspace) as running:
        stream_id = fresh_stream()
        seqs = [await say(b, stream_id, comment(n), f"k{n}") for n in range(10)]
        await running.caught_up()
        await asyncio.to_thread(run_cql, keyspace, f"DROP TABLE {lookups}")
        try:
            seqs += [await say(b, stream_id, comment(n), f"k{n}") for n in range(10, 60)]
            await eventually(lambda: running.trouble != "")
            began = b.clock.monotonic()
            await eventually(lambda: b.clock.monotonic() - began > 5)
        finally:
            await asyncio.to_thread(run_cql, keyspace, table)
        await running.caught_up()
        assert [item.seq for item in await running.store.range(stream_id, 0, 2**53, 100)] == seqs
        assert await letters(b) == []


async def test_a_slow_cluster_is_waited_for(
    own_nats_server: NatsServer, cql_server: CqlServer, keyspace: Address, tmp_path: Path
) -> None:
    """Each answer comes two seconds late for twelve: the log is read no further than two batches, and then all is stored."""
    await asyncio.to_thread(empty, keyspace)
    async with broker(own_nats_server.url) as b, LateProxy.before(cql_server.port) as proxy:
        assert isinstance(proxy, LateProxy)
        near = msgspec.structs.replace(keyspace, hosts=("127.0.0.1",), port=proxy.port)
        async with archiving(b, near) as running:
            stream_id = fresh_stream()
            seqs = [await say(b, stream_id, comment(n), f"k{n}") for n in range(10)]
            await running.caught_up()
            proxy.lag, began = 2.0, b.clock.monotonic()
            for second in range(12):
                said = (say(b, stream_id, comment(n), f"k{n}") for n in range(len(seqs), len(seqs) + 100))
                seqs += await asyncio.gather(*said)
                await eventually(partial(passed, b, began + second + 1))
            info = await b.connection.request(f"$JS.API.CONSUMER.INFO.{LOG}.archive")
            assert msgspec.json.decode(info.data)["num_ack_pending"] <= 2 * b.settings.archive_batch
            proxy.lag = 0.0
            await running.caught_up()
            assert [item.seq for item in await running.store.range(stream_id, 0, 2**53, 100_000)] == sorted(seqs)
            assert await letters(b) == []


def passed(b: Broker, until: float) -> bool:
    """Whether it is later than *until*."""
    return b.clock.monotonic() > until


def run_cql(address: Address, statement: str) -> None:
    """Run one statement."""
    cluster = cluster_of(address)
    try:
        cluster.connect().execute(statement, timeout=30)
    finally:
        cluster.shutdown()


def described(address: Address, table: str) -> str:
    """The statement that makes a table, as the driver reads it from the server."""
    cluster = cluster_of(address)
    try:
        cluster.connect()
        keyspace, _, name = table.partition(".")
        return str(cluster.metadata.keyspaces[keyspace].tables[name].as_cql_query())
    finally:
        cluster.shutdown()
