"""A keyspace of a test run's CQL server: one per worker, emptied before each test."""

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec

from infra.scylla import Address, Database, ScyllaComments, migrate
from infra.scylla.database import cluster_of
from infra.stores import CommentStore, LoggedItem
from tests.backends.cassandra import CqlServer

TABLES = (
    "items",
    "lookups",
    "decisions",
    "purges",
    "tallies",
    "buckets",
    "archived",
    "streams",
    "streams_by_status",
    "stream_months",
)


def address_of(server: CqlServer, keyspace: str) -> Address:
    """*keyspace* on *server*, one copy of everything."""
    return Address(hosts=(server.host,), port=server.port, keyspace=keyspace, create_keyspace=True, replication=1)


def fresh_keyspace(server: CqlServer) -> Address:
    """A keyspace of its own with this version's tables; takes seconds."""
    address = address_of(server, f"test_{uuid.uuid4().hex}")
    assert asyncio.run(migrate(address)) == 1
    return address


def empty(address: Address) -> None:
    """Drop all rows. A DELETE would not do: rows of events that are older than it would never come back."""
    cluster = cluster_of(address)
    try:
        session = cluster.connect()
        for each in [session.execute_async(f"TRUNCATE {address.keyspace}.{table}", timeout=30) for table in TABLES]:
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

    async def kill_while_writing(self, items: Sequence[LoggedItem], through: int, after: int = 3) -> None:
        """Run `killed_scylla_writer.py`, which stops after so many batches, and kill it there."""
        handed = self.folder / "killed.items"
        handed.write_bytes(msgspec.json.encode([self.address, list(items), through, after]))
        command = ("-m", "tests.contract.killed_scylla_writer", str(handed))
        writer = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE, env={**os.environ}
        )
        assert writer.stdout is not None
        assert await writer.stdout.readline() == b"in the middle\n"
        writer.kill()
        assert await writer.wait() == -signal.SIGKILL

    async def close(self) -> None:
        """Close all handles."""
        for database in self.databases:
            await database.close()
