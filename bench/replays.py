"""A log written three times more in random order: every row of every table of both stores, before and after, to the byte.

`python -m bench.replays` starts an Apache Cassandra of its own, or takes that of OVATION_SCYLLA_CONTACT_POINTS. The log has
comments, threads, removals before and after their comments, restores, purges; a fiftieth of it is erased, and stays so.
"""

import argparse
import asyncio
import hashlib
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from infra.scylla import Address, ScyllaComments, migrate
from infra.scylla import Database as Cluster
from infra.sqlite import Database as File
from infra.sqlite import SqliteComments
from infra.stores import CommentStore
from tests.backends.cassandra import elsewhere
from tests.backends.cassandranode import CassandraNode
from tests.contract import rows
from tests.contract.histories import LOG, S
from tests.contract.replays import shuffled, whole_log
from tests.factories import NOON_MS

TIMES = 3


def digests(found: rows.Rows) -> dict[str, tuple[int, str]]:
    """Table -> its rows and their hash."""
    return {
        table: (len(each), hashlib.sha256("\n".join(each).encode()).hexdigest()[:16]) for table, each in sorted(found.items())
    }


async def measure(name: str, store: CommentStore, read: Callable[[], rows.Rows], options: argparse.Namespace) -> bool:
    """Write, erase, replay; print each table. Whether all of it is the same."""
    chance = random.Random(options.seed)
    log = whole_log(chance, options.items)
    for start in range(0, len(log), 500):
        await store.write(log[start : start + 500], {LOG: min(start + 500, len(log))})
    await store.erase(S, chance.sample(range(1, len(log) + 1), len(log) // 50), NOON_MS + 3_600_000)
    before = digests(await asyncio.to_thread(read))
    began = time.perf_counter()
    for _ in range(TIMES):
        await shuffled(chance, store, log)
    took = time.perf_counter() - began
    after = digests(await asyncio.to_thread(read))
    print(f"\n{name}: {len(log)} items, replayed {TIMES} times in random order and batches in {took:.1f} s")
    for table in sorted(before | after):
        same = before.get(table) == after.get(table)
        count, digest = after.get(table, (0, ""))
        print(f"  {table:20} {count:7} rows  {digest}  {'the same bytes' if same else f'DIFFERS: {before.get(table)}'}")
    return before == after


async def both(address: Address, options: argparse.Namespace, folder: Path) -> bool:
    """On both stores, one after the other."""
    await migrate(address)
    path = folder / "store.sqlite"
    cluster, file = await Cluster.open(address), await File.open(path)
    try:
        of_file = await measure("SQLite", SqliteComments(file), lambda: rows.of_file(path), options)
        return await measure("CQL", ScyllaComments(cluster), lambda: rows.of_keyspace(address), options) and of_file
    finally:
        await file.close()
        await cluster.close()


def main() -> int:
    """Run it; 1 when a byte differs."""
    parser = argparse.ArgumentParser(prog="python -m bench.replays", description=__doc__)
    parser.add_argument("--items", type=int, default=5000, help="items of the log")
    parser.add_argument("--seed", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ovation-replays-") as folder:
        there = elsewhere()
        node = None if there else CassandraNode(Path(folder) / "node").start()
        host, port = (there.host, there.port) if there else (node.host, node.port) if node else ("", 0)
        address = Address(hosts=(host,), port=port, keyspace=f"replays_{time.time_ns()}", create_keyspace=True, replication=1)
        try:
            return 0 if asyncio.run(both(address, options, Path(folder))) else 1
        finally:
            if node is not None:
                node.kill()


if __name__ == "__main__":
    raise SystemExit(main())
