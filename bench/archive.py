"""Archive throughput: the stores against their bare drivers, which write the same rows, side by side in one run.

`python -m bench.archive` starts an Apache Cassandra of its own, or takes the server of OVATION_SCYLLA_CONTACT_POINTS. Both
sides of each ratio share the machine with the server, in turns. The bare CQL driver writes items and lookups and counts
nothing: once in the store's own batches, and once row by row.
"""

import argparse
import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cassandra.concurrent import execute_concurrent
from cassandra.query import BatchStatement, BatchType

from infra.scylla import Address, Database, ScyllaComments, migrate
from infra.scylla.cluster import cluster_of
from infra.scylla.database import WRITERS, Row, batched
from infra.scylla.facts import Rows
from infra.sqlite import Database as File
from infra.sqlite import SqliteComments
from infra.sqlite.schema import MIGRATIONS
from infra.stores import LoggedItem
from schemas import codec
from schemas.items import Comment, User
from schemas.times import rfc3339
from tests.backends.cassandra import elsewhere
from tests.backends.cassandranode import CassandraNode

STREAM = "018bcfe5-6800-7bb6-bc13-d949c5118c{:02x}"
TEXT = "a comment of the usual length, with some words in it and a little more " * 2
_INSERT = "INSERT INTO items (no, seq, at_ms, payload, msg_id, comment_id, user_id) VALUES (?,?,?,?,?,?,?)"


def items(first: int, count: int, streams: int) -> list[LoggedItem]:
    """*count* comments of *streams* streams in turn, by 500 people, each with a key."""
    found = []
    for seq in range(first, first + count):
        at_ms = 1_790_000_000_000 + seq
        user = User(id=f"user-{seq % 500}", name=f"Somebody {seq % 500}")
        item = Comment(comment_id=str((at_ms << 22) + seq % 4096), user=user, text=TEXT, created_at=rfc3339(at_ms))
        found.append(
            LoggedItem(
                log="LIVE_0",
                stream_id=STREAM.format(seq % streams),
                seq=seq,
                at_ms=at_ms,
                payload=codec.encode(item),
                item=item,
                msg_id=f"{seq:064x}",
            )
        )
    return found


async def of_store(store: ScyllaComments | SqliteComments, work: Sequence[LoggedItem], batch: int) -> float:
    """Seconds in which a store archives *work*."""
    began = time.perf_counter()
    for at in range(0, len(work), batch):
        await store.write(work[at : at + batch], {"LIVE_0": work[at].seq})
    return time.perf_counter() - began


async def rows_of(database: Database, some: Sequence[LoggedItem]) -> list[Row]:
    """What the store would write of *some*, without what it counts."""
    rows = Rows(database)
    return [row for item in some for row in await rows.lookups(item)] + await rows.items(some)


async def of_driver(database: Database, work: Sequence[LoggedItem], batch: int, *, together: bool) -> float:
    """Seconds in which the bare driver writes the rows of *work*, in the store's batches or one by one."""
    prepared = [await rows_of(database, work[at : at + batch]) for at in range(0, len(work), batch)]
    cluster = cluster_of(database.address)
    session = await asyncio.to_thread(cluster.connect)

    def write() -> float:
        began = time.perf_counter()
        for rows in prepared:
            groups = list(batched(rows)) if together else [[row] for row in rows]
            execute_concurrent(session, [(_statement(group), None) for group in groups], concurrency=WRITERS)
        return time.perf_counter() - began

    try:
        return await asyncio.to_thread(write)
    finally:
        await asyncio.to_thread(cluster.shutdown)


def _statement(group: Sequence[Row]) -> BatchStatement:
    if len(group) == 1:
        return group[0].statement.bind(group[0].values)
    statement = BatchStatement(BatchType.UNLOGGED)
    for row in group:
        statement.add(row.statement, row.values)
    return statement


def of_executemany(folder: Path, work: Sequence[LoggedItem], batch: int) -> float:
    """Seconds in which sqlite3 inserts the same rows in one thread, a commit a batch: table and indexes, no trigger."""
    db = sqlite3.connect(folder / f"bare-{time.time_ns()}.sqlite", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    for statement in MIGRATIONS[0]:
        if "TRIGGER" not in statement:
            db.execute(statement)
    began = time.perf_counter()
    for at in range(0, len(work), batch):
        db.execute("BEGIN")
        some = work[at : at + batch]
        db.executemany(_INSERT, [_values(item) for item in some])
        db.execute("COMMIT")
    took = time.perf_counter() - began
    db.close()
    return took


def _values(item: LoggedItem) -> tuple[object, ...]:
    comment_id, user_id = (item.item.comment_id, item.item.user.id) if isinstance(item.item, Comment) else (None, None)
    return (int(item.stream_id[-2:], 16), item.seq, item.at_ms, item.payload, item.msg_id, comment_id, user_id)


async def measure(address: Address, options: argparse.Namespace, folder: Path) -> None:
    """Rounds in turns; prints rates and the ratios of each round."""
    await migrate(address)
    database, file = await Database.open(address), await File.open(folder / "store.sqlite")
    stores = ScyllaComments(database), SqliteComments(file)
    rates: dict[str, list[float]] = {}
    try:
        for number in range(options.rounds + 1):
            work = items(1 + number * options.comments, options.comments, options.streams)
            took = {
                "CQL store": await of_store(stores[0], work, options.batch),
                "CQL driver, same batches": await of_driver(database, work, options.batch, together=True),
                "CQL driver, row by row": await of_driver(
                    database, work[: options.comments // 4], options.batch, together=False
                )
                * 4,
                "SQLite store": await of_store(stores[1], work, options.batch),
                "executemany": await asyncio.to_thread(of_executemany, folder, work, options.batch),
            }
            # The first round warms the server up.
            for name, seconds in took.items() if number else ():
                rates.setdefault(name, []).append(options.comments / seconds)
    finally:
        await database.close()
        await file.close()
    told(rates)


def told(rates: dict[str, list[float]]) -> None:
    """Print the medians, and the medians of the rounds' ratios."""
    for name, of_rounds in rates.items():
        print(f"{name:26} {statistics.median(of_rounds):9,.0f} comments/s  (rounds {' '.join(f'{r:,.0f}' for r in of_rounds)})")

    def ratio(one: str, other: str) -> str:
        each = [a / b for a, b in zip(rates[one], rates[other], strict=True)]
        return f"{one} / {other}: {statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"

    print(ratio("CQL store", "CQL driver, same batches"))
    print(ratio("CQL driver, same batches", "CQL driver, row by row"))
    print(ratio("CQL store", "CQL driver, row by row"))
    print(ratio("SQLite store", "executemany"))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comments", type=int, default=10_000, help="of one round and side")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=500, help="comments of one batch: OVATION_ARCHIVE_BATCH")
    parser.add_argument("--streams", type=int, default=1, help="live at once")
    options = parser.parse_args()
    print(f"{options} concurrency={WRITERS} cores={os.cpu_count()}")
    with tempfile.TemporaryDirectory() as folder:
        server = elsewhere() or CassandraNode(Path(folder) / "node").start()
        keyspace = f"bench_{time.time_ns()}"
        address = Address(hosts=(server.host,), port=server.port, keyspace=keyspace, create_keyspace=True, replication=1)
        try:
            asyncio.run(measure(address, options, Path(folder)))
        finally:
            stop: Callable[[], None] = getattr(server, "kill", lambda: None)
            stop()


if __name__ == "__main__":
    main()
