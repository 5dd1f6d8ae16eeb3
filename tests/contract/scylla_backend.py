"""A keyspace of a test run's CQL server: one per worker, emptied before each test."""

import asyncio
import contextlib
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from infra.scylla import Address, Database, ScyllaComments, ScyllaModeration, ScyllaPeople, migrate
from infra.scylla.cluster import cluster_of
from infra.scylla.schema import MIGRATIONS
from infra.stores import CommentStore, LoggedItem, ModerationStore, PeopleStore
from tests.backends.cassandra import CqlServer
from tests.contract import rows
from tests.contract.rows import Rows


def address_of(server: CqlServer, keyspace: str) -> Address:
    """*keyspace* on *server*, one copy of everything."""
    return Address(hosts=(server.host,), port=server.port, keyspace=keyspace, create_keyspace=True, replication=1)


def fresh_keyspace(server: CqlServer) -> Address:
    """A keyspace of its own with this version's tables; takes seconds."""
    address = address_of(server, f"test_{uuid.uuid4().hex}")
    assert asyncio.run(migrate(address)) == len(MIGRATIONS)
    return address


def empty(address: Address) -> None:
    """Drop all rows. A DELETE would not do: rows of events that are older than it would never come back."""
    cluster = cluster_of(address)
    try:
        session = cluster.connect()
        named = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (address.keyspace,))
        ours = {row.table_name for row in named} - set(rows.NOT_OURS)
        for each in [session.execute_async(f"TRUNCATE {address.keyspace}.{table}", timeout=30) for table in ours]:
            each.result()
    finally:
        cluster.shutdown()


def drop(address: Address) -> None:
    """Leave no keyspace behind on a server that outlives the run."""
    cluster = cluster_of(address)
    try:
        cluster.connect().execute(f"DROP KEYSPACE IF EXISTS {address.keyspace}", timeout=30)
    finally:
        cluster.shutdown()


class ScyllaBackend:
    """One keyspace and all handles on it."""

    def __init__(self, address: Address, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self.databases: list[Database] = []

    async def open(self) -> CommentStore:
        """One more connection, as another process has."""
        self.databases.append(await Database.open(self.address))
        return ScyllaComments(self.databases[-1])

    async def anew(self) -> CommentStore:
        """A handle on the keyspace, emptied."""
        await asyncio.to_thread(empty, self.address)
        return await self.open()

    def people(self) -> PeopleStore:
        """What people said."""
        return ScyllaPeople(self.databases[-1])

    def moderation(self) -> ModerationStore:
        """What was decided."""
        return ScyllaModeration(self.databases[-1])

    async def rows(self) -> Rows:
        """All rows of all tables."""
        return await asyncio.to_thread(rows.of_keyspace, self.address)

    async def kill_while_writing(self, items: Sequence[LoggedItem], through: int, after: int = 3) -> None:
        """Run `killed_scylla_writer.py`, which stops after so many batches, and kill it there."""
        await self._kill(b"in the middle", items, through, after)

    async def kill_after_writing(self, items: Sequence[LoggedItem], through: int) -> None:
        """Run it until all is written, and kill it there."""
        await self._kill(b"all of it is written", items, through, 10**9)

    async def _kill(self, where: bytes, items: Sequence[LoggedItem], through: int, after: int) -> None:
        handed = self.folder / "killed.items"
        handed.write_bytes(msgspec.json.encode([self.address, list(items), through, after]))
        command = ("-m", "tests.contract.killed_scylla_writer", str(handed))
        writer = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, env={**os.environ}
        )
        assert writer.stdout is not None
        assert await writer.stdout.readline() == where + b"\n"
        writer.kill()
        assert await writer.wait() == -signal.SIGKILL

    async def close(self) -> None:
        """Close all handles."""
        for database in self.databases:
            await database.close()


@contextlib.asynccontextmanager
async def emptied(keyspace: Address, folder: Path) -> AsyncIterator[ScyllaBackend]:
    """A keyspace without rows; its handles are closed afterwards."""
    await asyncio.to_thread(empty, keyspace)
    backend = ScyllaBackend(keyspace, folder)
    yield backend
    await backend.close()
