"""Migrations: applied once and in order, by whoever has the lock; everybody else waits for it, at most `LOCK_S`.

The lock is a lightweight transaction, the only one there is, and of all data centers: two regions may begin at once. Keyspaces
with tablets of older ScyllaDB take none: such a cluster refuses before any table of ours is changed, and its words are
passed on.
"""

import asyncio
import os
import socket
import time
import uuid
from contextlib import suppress

from cassandra import ConsistencyLevel, InvalidRequest
from cassandra.cluster import Cluster, ResultSet, Session
from cassandra.query import SimpleStatement

from infra.errors import StoreTooNew, Unavailable
from infra.scylla.address import Address
from infra.scylla.cluster import cluster_of
from infra.scylla.database import connected, version
from infra.scylla.failures import is_drivers, unavailable
from infra.scylla.schema import BOOTSTRAP, MIGRATIONS, Step

#: Renewed before each statement, and within a step that takes longer; one of a migration that was killed comes back after this.
#: Twice what a statement may take.
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
            for step in MIGRATIONS[number]:
                _take(session, address, step, owner)
            _renew(session, address, owner)
            values = (number + 1, time.time_ns() // 1000)
            _run(session, f"INSERT INTO {keyspace}.migrations (name, version, applied_at) VALUES ('store', %s, %s)", values)  # noqa: S608 - a checked identifier
        return len(MIGRATIONS) - found
    finally:
        _alone(session, f"DELETE FROM {keyspace}.locks WHERE name = 'store' IF owner = %s", (owner,))  # noqa: S608 - a checked identifier


def _take(session: Session, address: Address, step: Step, owner: str) -> None:
    _renew(session, address, owner)
    if isinstance(step, str):
        _run(session, step.replace("{ks}", address.keyspace).replace("{days}", str(address.window_days)))
        return
    renewed = time.monotonic()
    for _ in step(session, address):
        if time.monotonic() - renewed > LOCK_S / 4:
            renewed = time.monotonic()
            _renew(session, address, owner)


def _renew(session: Session, address: Address, owner: str) -> None:
    statement = f"UPDATE {address.keyspace}.locks USING TTL {LOCK_S} SET owner = %s WHERE name = 'store' IF owner = %s"  # noqa: S608 - a checked identifier
    if not _alone(session, statement, (owner, owner)):
        msg = f"{address}: somebody else has begun to migrate it; run `ovation migrate` again"
        raise Unavailable(msg, 5)


def _alone(session: Session, statement: str, values: tuple[object, ...]) -> bool:
    """Run a lightweight transaction that all data centers take part in; whether it was applied."""
    bound = SimpleStatement(
        statement, consistency_level=ConsistencyLevel.QUORUM, serial_consistency_level=ConsistencyLevel.SERIAL
    )
    return bool(session.execute(bound, values, timeout=SCHEMA_S).was_applied)


def _run(session: Session, statement: str, values: tuple[object, ...] = ()) -> ResultSet:
    return session.execute(statement, values or None, timeout=SCHEMA_S)


def _have_keyspace(cluster: Cluster, session: Session, address: Address) -> None:
    local = address.dc or next(host.datacenter for host in cluster.metadata.all_hosts())
    wanted = address.copies(local)
    copies = ", ".join(["'class': 'NetworkTopologyStrategy'", *(f"'{dc}': {number}" for dc, number in wanted.items())])
    replication = f"{address.keyspace} WITH replication = {{{copies}}}"
    keyspace = cluster.metadata.keyspaces.get(address.keyspace)
    if keyspace is not None:
        there = getattr(keyspace.replication_strategy, "dc_replication_factors", {})
        if address.regions and there != wanted:
            msg = (
                f"{address} has other copies than ?replication= names ({there or keyspace.replication_strategy.name}); "
                f"if they are to change: ALTER KEYSPACE {replication}, then repair the keyspace on every node"
            )
            raise Unavailable(msg, 5)
        return
    statement = f"CREATE KEYSPACE IF NOT EXISTS {replication}"
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
            if _alone(session, statement, (owner,)):
                return
        time.sleep(AGAIN_S)
    msg = f"{address}: somebody else has been migrating it for {LOCK_S} s, or it takes no lightweight transactions"
    raise Unavailable(msg, 5)
