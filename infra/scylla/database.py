"""The connection to the cluster: prepared reads and writes.

`LOCAL_QUORUM` both ways, and `EACH_QUORUM` for writes where there are several data centers: what a quorum of the data center
has taken is read by every quorum of it. A write that timed out
may have been taken; all of ours may be repeated.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol, Self

from cassandra import OperationTimedOut
from cassandra.cluster import Cluster, NoHostAvailable, Session
from cassandra.query import PreparedStatement, Statement

from infra.errors import StoreTooNew, Unavailable
from infra.scylla.address import Address
from infra.scylla.bridge import Bridge
from infra.scylla.cluster import READ, WRITE, cluster_of, suspects_of
from infra.scylla.failures import is_drivers, unavailable
from infra.scylla.groups import Row as Row  # noqa: PLC0414 - whoever writes has it from here
from infra.scylla.groups import batched
from infra.scylla.packed import Batch, Packer
from infra.scylla.schema import MIGRATIONS

#: Batches of one `put` on their way at once. On a ring that shared a core, at 1,000 comments/s, a page in a hundred took 0.36 s
#: with 16 and 0.20 with 8: who reads waits behind them. At 5 ms each they are still 5,000 comments/s of one archive.
WRITERS = 8
#: What becomes of a connection where nobody is; a node that does not want us says more.
SILENT = (ConnectionRefusedError, OperationTimedOut, TimeoutError, OSError)


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
        self._preparing = asyncio.Lock()

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Connect to the cluster and see that the keyspace has this version's tables.

        Raises:
            Unavailable: no host answers, or the keyspace needs `ovation migrate`.
            StoreTooNew: a newer version migrated it.
            BadSettings: a certificate's file cannot be read.
        """
        cluster = await asyncio.to_thread(cluster_of, address)
        try:
            session = await asyncio.to_thread(connected, cluster, address)
            database = cls(address, cluster, session, Bridge(session, asyncio.get_running_loop(), suspects_of(cluster).learn))
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
        if statement in self._prepared:
            return self._prepared[statement]
        # One at a time: those that ask for the same one meanwhile would each take a thread for it.
        async with self._preparing:
            if statement not in self._prepared:
                text = statement.replace("{ks}", self.address.keyspace)
                try:
                    self._prepared[statement] = await asyncio.to_thread(self._session.prepare, text)
                except Exception as error:
                    raise self._translated(error) from error
        return self._prepared[statement]

    async def read(self, statement: str, *values: object, paged: bool = True) -> list[Found]:
        """The rows of a SELECT that asks for no more than a page (5,000 rows).

        *paged* is false of one that orders the rows of several partitions: neither database does that by pages.

        Raises:
            Unavailable: too few nodes answer.
        """
        bound = (await self.prepare(statement)).bind(values)
        if not paged:
            bound.fetch_size = None
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
            # All that is written may be written again: lets the driver ask a second node while the first one hangs.
            statement.is_idempotent = True
            await self._execute(statement, WRITE)

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


def connected(cluster: Cluster, address: Address) -> Session:
    """A session on *cluster*. Blocks.

    Raises:
        Unavailable: no host answers, or they refuse us; says what to check.
    """
    try:
        return cluster.connect()
    except Exception as error:
        if not is_drivers(error):
            raise
        there = {host.datacenter for host in cluster.metadata.all_hosts()} - {None}
        if address.dc and there and address.dc not in there:
            msg = (
                f"the store {address} has no data center {address.dc}, but {', '.join(there)}: correct dc= in OVATION_STORE_URL"
            )
            raise Unavailable(msg, 5) from error
        told = unavailable(address, error)
        if isinstance(error, NoHostAvailable) and all(type(each) in SILENT for each in dict(error.errors).values()):
            msg = f"{told}: see that a node runs there, or correct OVATION_STORE_URL or OVATION_SCYLLA_CONTACT_POINTS"
            raise Unavailable(msg, told.retry_after) from error
        raise told from error


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
