"""Archive throughput: the stores against their bare drivers, which write the same rows, side by side in one run.

`python -m bench.archive` starts an Apache Cassandra of its own, or takes the server of OVATION_SCYLLA_CONTACT_POINTS. All
sides share the machine with the server and take turns, each round beginning with another one; each writes streams of its own,
so that nobody writes what is there already. The bare drivers write items and lookups and count nothing.
"""

import argparse
import asyncio
import hashlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench import results
from bench.drivers import CqlDriver, SqliteDriver, as_the_store, one_by_one, one_partition
from bench.options import Options
from bench.results import Result, Table
from bench.rounds import ratios, spread
from infra.scylla import Address, Database, ScyllaComments, migrate
from infra.scylla.database import WRITERS
from infra.scylla.groups import BATCH_ROWS
from infra.sqlite import Database as File
from infra.sqlite import SqliteComments
from infra.stores import CommentStore, LoggedItem
from schemas import codec
from schemas.items import Comment, Item, Removed, User
from schemas.times import rfc3339
from tests.backends.cassandra import CqlServer, elsewhere
from tests.backends.cassandranode import CassandraNode

STREAM = "018bcfe5-6800-7bb6-bc13-d949c511{:02x}{:02x}"
TEXT = "a comment of the usual length, with some words in it and a little more " * 2
#: One item in so many is the removal of an earlier comment, where there is moderation.
REMOVALS = 50
#: Row by row a server writes so few that a part of the comments has to do.
ROW_BY_ROW = 4

CQL, CQL_MODERATED = "CQL store", "CQL store, 2 % removals"
CQL_SAME, CQL_ONE, CQL_ROWS = "CQL driver, same batches", "CQL driver, batches of one partition", "CQL driver, row by row"
FILE, FILE_MODERATED, MANY = "SQLite store", "SQLite store, 2 % removals", "executemany"
SIDES = (CQL, CQL_SAME, CQL_ONE, CQL_ROWS, CQL_MODERATED, FILE, MANY, FILE_MODERATED)

Rates = dict[str, list[float]]
Side = Callable[[Sequence[LoggedItem]], Awaitable[float]]


def items(side: int, first: int, count: int, streams: int, *, moderated: bool = False) -> list[LoggedItem]:
    """*count* comments of *streams* streams in turn, by 500 people, each with a key."""
    found = []
    for seq in range(first, first + count):
        at_ms = 1_790_000_000_000 + seq
        item: Item
        if moderated and seq % REMOVALS == 0:
            # Of the same stream, and of a batch before or this one.
            item = Removed(comment_id=_id(seq - streams), reason="moderator")
        else:
            user = User(id=f"user-{seq % 500}", name=f"Somebody {seq % 500}")
            item = Comment(comment_id=_id(seq), user=user, text=TEXT, created_at=rfc3339(at_ms))
        found.append(
            LoggedItem(
                log="LIVE_0",
                stream_id=STREAM.format(side, seq % streams),
                seq=seq,
                at_ms=at_ms,
                payload=codec.encode(item),
                item=item,
                msg_id=hashlib.sha256(f"{side} {seq}".encode()).hexdigest(),
            )
        )
    return found


def _id(seq: int) -> str:
    return str(((1_790_000_000_000 + seq) << 22) + seq % 4096)


async def of_store(store: CommentStore, work: Sequence[LoggedItem], batch: int) -> float:
    """Seconds in which a store archives *work*."""
    began = time.perf_counter()
    for at in range(0, len(work), batch):
        await store.write(work[at : at + batch], {"LIVE_0": work[at].seq})
    return time.perf_counter() - began


async def measure(address: Address, options: argparse.Namespace, streams: int, folder: Path) -> Rates:
    """Comments/s of each side in each round."""
    await migrate(address)
    database, file = await Database.open(address), await File.open(folder / f"store-{streams}.sqlite")
    cql, sqlite = ScyllaComments(database), SqliteComments(file)
    driver, many = await asyncio.to_thread(CqlDriver, database), SqliteDriver(folder / f"bare-{streams}.sqlite")
    batch = options.batch
    sides: dict[str, Side] = {
        CQL: lambda work: of_store(cql, work, batch),
        CQL_SAME: lambda work: driver.write(work, batch, as_the_store),
        CQL_ONE: lambda work: driver.write(work, batch, one_partition),
        CQL_ROWS: lambda work: driver.write(work, batch, one_by_one),
        CQL_MODERATED: lambda work: of_store(cql, work, batch),
        FILE: lambda work: of_store(sqlite, work, batch),
        MANY: lambda work: many.write(work, batch),
        FILE_MODERATED: lambda work: of_store(sqlite, work, batch),
    }
    rates: Rates = {name: [] for name in SIDES}
    try:
        for number in range(options.rounds + 1):
            for at in range(len(SIDES)):
                which = (at + number) % len(SIDES)
                name = SIDES[which]
                count = options.comments // (ROW_BY_ROW if name == CQL_ROWS else 1)
                first = 1 + number * options.comments
                work = items(which, first, count, streams, moderated=name in (CQL_MODERATED, FILE_MODERATED))
                rate = count / await sides[name](work)
                # The first round warms the server up.
                if number:
                    rates[name].append(rate)
                    print(f"{streams} streams, round {number}: {name} {rate:,.0f}/s", flush=True)
    finally:
        await asyncio.to_thread(driver.close)
        many.close()
        await database.close()
        await file.close()
    return rates


def tell(result: Result, streams: int, rates: Rates) -> None:
    """Rates and the ratios of the rounds; one stream is what the bounds are for."""
    columns = ["written by", "comments/s", "store / this"]
    rows = []
    for name in SIDES:
        store = CQL if name.startswith("CQL") else FILE
        rows.append([name, spread(rates[name]).text(0), "" if name == store else ratios(rates[store], rates[name]).text()])
    result.tables.append(Table(f"{streams} stream{'s' * (streams > 1)} at once", columns, rows))
    for store, other, least in ((CQL, CQL_SAME, 0.7), (CQL, CQL_ONE, 0.7), (CQL, CQL_ROWS, 4.0), (FILE, MANY, 0.7)):
        if streams == 1:
            result.want(f"{store} / {other}", ratios(rates[store], rates[other]).median, at_least=least)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.archive", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--comments", type=int, default=6_000, help="of one round and side (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="after one that warms up (default %(default)s)")
    parser.add_argument("--batch", type=int, default=500, help="comments of one batch: OVATION_ARCHIVE_BATCH")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 20], help="live at once (default 1 20)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ovation-bench-") as folder:
        server: CqlServer | CassandraNode = elsewhere() or CassandraNode(Path(folder) / "node").start()
        try:
            result = results.begin(
                "archive",
                "Into the stores",
                Options(0, 0.0, options.rounds, 0, 1),
                comments=options.comments,
                batch=options.batch,
                requests_at_once=WRITERS,
                rows_per_request=f"up to {BATCH_ROWS}",
                server=server.what,
                replication="1, LOCAL_QUORUM",
                sqlite="WAL, synchronous FULL",
            )
            rounds = {}
            for streams in options.streams:
                keyspace = f"bench_{time.time_ns()}"
                address = Address(
                    hosts=(server.host,), port=server.port, keyspace=keyspace, create_keyspace=True, replication=1
                )
                rounds[streams] = asyncio.run(measure(address, options, streams, Path(folder)))
                tell(result, streams, rounds[streams])
        finally:
            if isinstance(server, CassandraNode):
                server.kill()
    result.notes.append("a comment is four rows for CQL: the item, and lookups by id, key and author")
    result.notes.append(
        "the stores count, look for decisions on each comment and move the watermark as well; the drivers do not"
    )
    result.notes.append("server and client share the two cores; Cassandra runs as in the tests, without its second compiler")
    result.rounds = rounds
    result.finish()


if __name__ == "__main__":
    main()
