"""The connection to the cluster: prepared reads and writes.

`LOCAL_QUORUM` both ways: what a quorum of the data center has taken is read by every quorum of it. A write that timed out
may have been taken; all of ours may be repeated.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol, Self

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, Session
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    TokenAwarePolicy,
)
from cassandra.query import PreparedStatement, Statement

from infra.errors import StoreTooNew, Unavailable
from infra.scylla.address import Address
from infra.scylla.bridge import Bridge
from infra.scylla.failures import is_drivers, unavailable
from infra.scylla.groups import Row as Row  # noqa: PLC0414 - whoever writes has it from here
from infra.scylla.groups import batched
from infra.scylla.packed import Batch, Packer
from infra.scylla.schema import MIGRATIONS

#: ScyllaDB speaks 4; so both databases take the same path.
PROTOCOL = 4
REQUEST_S = 3.0
CONNECT_S = 2.0
#: A node that hangs is noticed by its missing heartbeats, and left alone until it answers again.
HEARTBEAT_S = 2.0
RECONNECT_S = 0.5
#: A read that has taken so long is asked of another node as well, at most this many.
SPECULATE_S = 0.1
SPECULATIONS = 2
#: Batches of one `put` on their way at once.
WRITERS = 32
READ = "read"


class Found(Protocol):
    """A row of an answer: each column it asked for is an attribute, `None` where there is no value."""

    def __getattr__(self, column: str) -> Any: ...  # noqa: ANN401 - text, whole number, bytes or a map


class Database:
    """An open keyspace. Nothing here blocks the event loop; requests under way are bounded (`bridge.IN_FLIGHT`)."""

    def __init__(self, address: Address, cluster: Cluster, session: Session, bridge: Bridge) -> None:
        """Use `open`."""
        self.address = address
        self._cluster = cluster
        self._session = session
        self._bridge = bridge
        self._prepared: dict[str, PreparedStatement] = {}
        self._packers: dict[bytes, Packer] = {}

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Connect to the cluster and see that the keyspace has this version's tables.

        Raises:
            Unavailable: no host answers, or the keyspace needs `ovation migrate`.
            StoreTooNew: a newer version migrated it.
            BadSettings: a certificate's file cannot be read.
        """
        cluster = cluster_of(address)
        try:
            session = await asyncio.to_thread(connected, cluster, address)
            database = cls(address, cluster, session, Bridge(session, asyncio.get_running_loop()))
            await asyncio.to_thread(_check, session, address)
        except BaseException:
            await asyncio.to_thread(cluster.shutdown)
            raise
        return database

    async def close(self) -> None:
        """Leave the cluster; what is under way is cut off."""
        await asyncio.to_thread(self._cluster.shutdown)

    async def prepare(self, statement: str) -> PreparedStatement:
        """*statement*, whose `{ks}` stands for the keyspace, prepared once.

        Raises:
            Unavailable: the cluster does not answer.
        """
        if statement not in self._prepared:
            text = statement.replace("{ks}", self.address.keyspace)
            try:
                self._prepared[statement] = await asyncio.to_thread(self._session.prepare, text)
            except Exception as error:
                raise self._translated(error) from error
        return self._prepared[statement]

    async def read(self, statement: str, *values: object) -> list[Found]:
        """The rows of a SELECT that asks for no more than a page (5,000 rows).

        Raises:
            Unavailable: too few nodes answer.
        """
        bound = (await self.prepare(statement)).bind(values)
        # Lets the driver ask a second node while the first one thinks.
        bound.is_idempotent = True
        return await self._execute(bound, READ)

    async def put(self, rows: Iterable[Row]) -> None:
        """Write *rows*, in batches (`groups.py`), those of a partition in their order.

        Raises:
            Unavailable: too few nodes answered; any of the batches may have been taken. Repeat all of it.
        """
        batches = batched(rows, self._replica)
        working = [asyncio.ensure_future(self._write(batches)) for _ in range(WRITERS)]
        try:
            await asyncio.gather(*working)
        except BaseException:
            for each in working:
                each.cancel()
            await asyncio.gather(*working, return_exceptions=True)
            raise

    async def _write(self, batches: Iterable[list[Row]]) -> None:
        for batch in batches:
            if len(batch) == 1:
                statement = self._packer(batch[0].statement).bound(batch[0].values)
            else:
                statement = Batch()
                for row in batch:
                    statement.put(self._packer(row.statement), row.values)
            await self._execute(statement, EXEC_PROFILE_DEFAULT)

    def _replica(self, row: Row) -> object:
        """The node that holds the partition of *row* first; of one node nothing is asked. Tablets may have moved it since."""
        metadata = self._cluster.metadata
        if len(metadata.all_hosts()) == 1:
            return None
        key = self._packer(row.statement).bound(row.values).routing_key
        replicas = metadata.get_replicas(self.address.keyspace, key)
        return replicas[0] if replicas else None

    def _packer(self, statement: PreparedStatement) -> Packer:
        found = self._packers.get(statement.query_id)
        if found is None:
            found = self._packers[statement.query_id] = Packer(statement)
        return found

    async def _execute(self, statement: Statement, profile: object) -> list[Found]:
        try:
            return await self._bridge.execute(statement, profile)
        except Exception as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        return unavailable(self.address, error) if is_drivers(error) else error


def cluster_of(address: Address) -> Cluster:
    """The driver's view of the cluster, not connected yet."""

    def profile(**more: object) -> ExecutionProfile:
        balancing = TokenAwarePolicy(DCAwareRoundRobinPolicy(address.dc))
        return ExecutionProfile(
            balancing,
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
            serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
            request_timeout=REQUEST_S,
            **more,
        )

    speculative = ConstantSpeculativeExecutionPolicy(SPECULATE_S, SPECULATIONS)
    return Cluster(
        list(address.hosts),
        port=address.port,
        protocol_version=PROTOCOL,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile(), READ: profile(speculative_execution_policy=speculative)},
        auth_provider=PlainTextAuthProvider(address.user, address.password) if address.user else None,
        ssl_context=address.ssl_context(),
        connect_timeout=CONNECT_S,
        control_connection_timeout=CONNECT_S,
        idle_heartbeat_interval=HEARTBEAT_S,
        idle_heartbeat_timeout=HEARTBEAT_S,
        reconnection_policy=ConstantReconnectionPolicy(RECONNECT_S, None),
    )


def connected(cluster: Cluster, address: Address) -> Session:
    """A session on *cluster*. Blocks.

    Raises:
        Unavailable: no host answers, or they refuse us.
    """
    try:
        return cluster.connect()
    except Exception as error:
        if is_drivers(error):
            raise unavailable(address, error) from error
        raise


def version(session: Session, keyspace: str) -> int:
    """The keyspace's schema version; 0 where there is none. Blocks."""
    tables = session.execute("SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", (keyspace,))
    if "migrations" not in {row.table_name for row in tables}:
        return 0
    # The keyspace is a checked identifier.
    rows = session.execute(f"SELECT version FROM {keyspace}.migrations WHERE name = 'store'")  # noqa: S608
    return max((row.version for row in rows), default=0)


def _check(session: Session, address: Address) -> None:
    try:
        found = version(session, address.keyspace)
    except Exception as error:
        raise unavailable(address, error) if is_drivers(error) else error from error
    if found > len(MIGRATIONS):
        msg = f"{address} has format {found}, this version reads up to {len(MIGRATIONS)}: run the version that wrote it"
        raise StoreTooNew(msg)
    if found < len(MIGRATIONS):
        msg = f"{address} has format {found}, this version needs {len(MIGRATIONS)}: run `ovation migrate`"
        raise Unavailable(msg, 5)
