"""Migrations: applied once and in order, by whoever has the lock; everybody else waits for it.

The lock is a lightweight transaction, the only one there is. Keyspaces with tablets of older ScyllaDB take none: such a cluster
refuses before any table of ours is changed, and its words are passed on.
"""

import asyncio
import os
import socket
import time
import uuid
from contextlib import suppress

from cassandra import InvalidRequest
from cassandra.cluster import Cluster, ResultSet, Session

from infra.errors import StoreTooNew, Unavailable
from infra.scylla.address import Address
from infra.scylla.cluster import cluster_of
from infra.scylla.database import connected, version
from infra.scylla.failures import is_drivers, unavailable
from infra.scylla.schema import BOOTSTRAP, MIGRATIONS

#: A migration takes seconds a table; one that was killed gives the lock back after this.
LOCK_S = 120
AGAIN_S = 0.25
#: Creating tables waits until all nodes agree.
SCHEMA_S = 60.0


async def migrate(address: Address) -> int:
    """Bring the keyspace to this version's schema; how many migrations that took.

    Raises:
        Unavailable: the cluster does not answer or refuses, the keyspace is not there, or the lock is not given back.
        StoreTooNew: a newer version migrated it.
    """
    return await asyncio.to_thread(_migrate, address)


def _migrate(address: Address) -> int:
    cluster = cluster_of(address)
    try:
        session = connected(cluster, address)
        return _applied(cluster, session, address)
    except Exception as error:
        if is_drivers(error):
            raise unavailable(address, error) from error
        raise
    finally:
        cluster.shutdown()


def _applied(cluster: Cluster, session: Session, address: Address) -> int:
    keyspace = address.keyspace
    _have_keyspace(cluster, session, address)
    # Somebody else may be creating it: a table is listed a moment before it may be read.
    with suppress(InvalidRequest):
        if version(session, keyspace) == len(MIGRATIONS):
            return 0
    for statement in BOOTSTRAP:
        _run(session, statement.replace("{ks}", keyspace))
    owner = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4()}"
    _lock(session, address, owner)
    try:
        # Read again under the lock: somebody else may have been first.
        found = version(session, keyspace)
        if found > len(MIGRATIONS):
            msg = f"{address} has format {found}, this version reads up to {len(MIGRATIONS)}: run the version that wrote it"
            raise StoreTooNew(msg)
        for number in range(found, len(MIGRATIONS)):
            for statement in MIGRATIONS[number]:
                _run(session, statement.replace("{ks}", keyspace))
            values = (number + 1, time.time_ns() // 1000)
            _run(session, f"INSERT INTO {keyspace}.migrations (name, version, applied_at) VALUES ('store', %s, %s)", values)  # noqa: S608 - a checked identifier
        return len(MIGRATIONS) - found
    finally:
        _run(session, f"DELETE FROM {keyspace}.locks WHERE name = 'store' IF owner = %s", (owner,))  # noqa: S608 - a checked identifier


def _run(session: Session, statement: str, values: tuple[object, ...] = ()) -> ResultSet:
    return session.execute(statement, values or None, timeout=SCHEMA_S)


def _have_keyspace(cluster: Cluster, session: Session, address: Address) -> None:
    if address.keyspace in cluster.metadata.keyspaces:
        return
    dc = address.dc or next(host.datacenter for host in cluster.metadata.all_hosts())
    statement = (
        f"CREATE KEYSPACE IF NOT EXISTS {address.keyspace} WITH replication = "
        f"{{'class': 'NetworkTopologyStrategy', '{dc}': {address.replication}}}"
    )
    if not address.create_keyspace:
        msg = f"{address} has no such keyspace; create it ({statement}), or add ?create_keyspace=true to OVATION_STORE_URL"
        raise Unavailable(msg, 5)
    _run(session, statement)


def _lock(session: Session, address: Address, owner: str) -> None:
    deadline = time.monotonic() + LOCK_S
    # Every row of it is the same for the two databases but for what it says of the old one: only the first column is read.
    statement = f"INSERT INTO {address.keyspace}.locks (name, owner) VALUES ('store', %s) IF NOT EXISTS USING TTL {LOCK_S}"  # noqa: S608 - a checked identifier
    while time.monotonic() < deadline:
        # As above: the lock's own table may be new.
        with suppress(InvalidRequest):
            if _run(session, statement, (owner,)).was_applied:
                return
        time.sleep(AGAIN_S)
    msg = f"{address}: somebody else has been migrating it for {LOCK_S} s, or it takes no lightweight transactions"
    raise Unavailable(msg, 5)
