"""Keyspaces as the settings name them: copies in data centers, and windows of compaction that fit how long rows are kept."""

import asyncio
import time
from collections.abc import Iterator

import msgspec
import pytest
from cassandra.cluster import Session

from infra.errors import Unavailable
from infra.scylla import migrate
from infra.scylla.address import DAY_S
from infra.scylla.cluster import cluster_of
from tests.backends.cassandra import CqlServer
from tests.contract.scylla_backend import address_of, drop


@pytest.fixture
def session(cql_server: CqlServer) -> Iterator[Session]:
    """A hand of our own on the server."""
    cluster = cluster_of(address_of(cql_server, "none"))
    try:
        yield cluster.connect()
    finally:
        cluster.shutdown()


async def test_each_data_center_has_its_copies(cql_server: CqlServer, session: Session) -> None:
    """Made as named, by NetworkTopologyStrategy; found as named; where it is otherwise, the statement to change it is told."""
    local = session.execute("SELECT data_center FROM system.local").one().data_center
    plain = address_of(cql_server, f"regions_{time.time_ns()}")
    address = msgspec.structs.replace(plain, dc=local, regions={local: 1}, ttl_s=360 * DAY_S)
    try:
        assert await migrate(address) > 0
        found = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = %s"
        replication = session.execute(found, (address.keyspace,)).one().replication
        assert replication["class"].endswith("NetworkTopologyStrategy")
        assert {name: copies for name, copies in replication.items() if name != "class"} == {local: "1"}
        assert await migrate(address) == 0

        changed = msgspec.structs.replace(address, regions={local: 3, "elsewhere": 2})
        with pytest.raises(Unavailable, match=f"ALTER KEYSPACE {address.keyspace} WITH .*'{local}': 3, 'elsewhere': 2"):
            await migrate(changed)
        windows = "SELECT table_name, compaction FROM system_schema.tables WHERE keyspace_name = %s"
        sizes = {row.table_name: row.compaction for row in session.execute(windows, (address.keyspace,))}
        assert {name for name, how in sizes.items() if how.get("compaction_window_size") == "12"} == {
            "items",
            "lookups",
            "audit",
        }
        assert sizes["tallies"]["class"].endswith("LeveledCompactionStrategy")
    finally:
        await asyncio.to_thread(drop, address)


async def test_a_data_center_that_is_not_there_is_told(cql_server: CqlServer) -> None:
    """The database refuses to make copies where there are no nodes; nothing is made, and its words are passed on."""
    plain = address_of(cql_server, f"nowhere_{time.time_ns()}")
    with pytest.raises(Unavailable, match="nowhere"):
        await migrate(msgspec.structs.replace(plain, regions={"nowhere": 3}))
