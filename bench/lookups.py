"""Key lookups on CQL: each by itself, those of one partition together, and as the store asks them.

`python -m bench.lookups` starts an Apache Cassandra of its own with a stream of comments, and has so many ask at once,
round after round, for keys of which one in ten is there: as posts do.
"""

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench.archive import STREAM, items
from infra.scylla import Address, Database, ScyllaComments, migrate, places
from infra.scylla.lookups import KEYS, READS
from tests.backends.cassandranode import CassandraNode

_ONE = "SELECT seq FROM {ks}.lookups WHERE stream_id = ? AND part = ? AND key = ? LIMIT 1000"
_SOME = "SELECT key, seq FROM {ks}.lookups WHERE stream_id = ? AND part = ? AND key IN ? LIMIT 1000"
S = STREAM.format(0, 0)


async def alone(database: Database, keys: Sequence[str]) -> None:
    """A question for each key."""
    await asyncio.gather(*(database.read(_ONE, S, places.part_of(key), key) for key in keys))


async def by_partition(database: Database, keys: Sequence[str]) -> None:
    """A question for each partition."""
    parts: dict[int, list[str]] = {}
    for key in keys:
        parts.setdefault(places.part_of(key), []).append(key)
    await asyncio.gather(*(database.read(_SOME, S, part, theirs) for part, theirs in parts.items()))


async def measure(address: Address, options: argparse.Namespace) -> None:
    """Rounds in turns; prints medians."""
    await migrate(address)
    database = await Database.open(address)
    store = ScyllaComments(database)
    try:
        for first in range(1, options.comments, 5000):
            await store.write(items(0, first, 5000, 1), {"LIVE_0": first + 4999})

        async def as_the_store(_: Database, keys: Sequence[str]) -> None:
            await store.by_msg_ids([(S, key[1:]) for key in keys])

        ways: dict[str, Callable[[Database, Sequence[str]], Awaitable[None]]] = {
            "each by itself": alone,
            "by partition": by_partition,
            "the store": as_the_store,
        }
        chance = random.Random(1)
        print(f"{'at once':>8} {'way':16} {'us/key':>8} {'CPU of the asker, us/key':>26} {'ms for all':>12}")
        for at_once in options.at_once:
            took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
            for number in range(options.rounds + 3):
                for name, way in ways.items():
                    numbers = [chance.randrange(options.comments * 10) for _ in range(at_once)]
                    keys = [places.by_msg_id(f"{number:064x}") for number in numbers]
                    cpu, began = time.process_time(), time.perf_counter()
                    await way(database, keys)
                    if number >= 3:
                        took[name].append((time.perf_counter() - began, time.process_time() - cpu))
            for name, each in took.items():
                seconds, cpus = (statistics.median(some) for some in zip(*each, strict=True))
                per = 1e6 / at_once
                print(f"{at_once:8} {name:16} {seconds * per:8.0f} {cpus * per:26.0f} {1000 * seconds:12.2f}")
    finally:
        await database.close()


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comments", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 8, 32, 128, 512])
    options = parser.parse_args()
    print(f"{options} keys={KEYS} reads={READS} cores={os.cpu_count()}")
    with tempfile.TemporaryDirectory() as folder:
        node = CassandraNode(Path(folder) / "node").start()
        address = Address(hosts=(node.host,), port=node.port, keyspace="bench_lookups", create_keyspace=True, replication=1)
        try:
            asyncio.run(measure(address, options))
        finally:
            node.kill()


if __name__ == "__main__":
    main()
