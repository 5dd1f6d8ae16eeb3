"""Very many quiet streams on one gateway: one viewer and one comment a minute each.

What a watched stream costs besides its comments: subscriptions, rings, heartbeats, checks of the tail, presence.
"""

import argparse
import asyncio
import time

from msgspec import Struct

from bench import corpus
from bench.client import Client, Report, write_lines
from bench.cpu import cost, raise_file_limit
from bench.memory import CONNECTIONS, SPARE_FILES
from bench.options import Options, parse, parser
from bench.results import Result, Table, begin
from bench.rounds import spread
from bench.servers import Site, events, site
from infra.clock import SystemClock
from infra.jetstream.connection import Connection
from infra.jetstream.kv import Bucket
from infra.jetstream.publisher import Publisher
from infra.jetstream.reader import Reader
from infra.jetstream.streams import BUCKET, StreamRecords
from schemas import subjects
from schemas.records import Broadcaster, StreamRecord
from schemas.streamid import new_stream_id

AT_ONCE = 200
WARM_S = 10.0


class Run(Struct, frozen=True):
    """One run; bytes are per stream, `known` without a viewer and `watched` with one."""

    streams: int
    opened_s: float
    server_cpu: float
    nats_cpu: float
    known: float
    watched: float
    delivered: int
    report: Report
    end: Report

    @property
    def complete(self) -> bool:
        """Whether every comment that the log took came to its one viewer."""
        return self.delivered == self.end.acked == self.end.published and self.end.violations.total == 0

    def __str__(self) -> str:
        return f"core {self.server_cpu:.3f}, {self.watched / 1000:.1f} kB/stream, complete {self.complete}"


async def create(url: str, count: int) -> list[str]:
    """Write the records of *count* live streams straight into the bucket; their ids."""
    clock = SystemClock()
    connection = await Connection(url, "bench", clock).open()
    publisher, reader = Publisher(connection, 10.0), Reader(connection)
    records = StreamRecords(Bucket(BUCKET, connection, publisher, reader), publisher)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> str:
        now = clock.now_ms()
        stream_id = new_stream_id(now)
        owner = Broadcaster(id=f"bench-{number}", name=f"Person {number}")
        record = StreamRecord(
            stream_id=stream_id, broadcaster=owner, title=f"Stream {number}", key_sha256="", created_at=now, started_at=now
        )
        async with gate:
            await records.create(record)
        return stream_id

    try:
        return list(await asyncio.gather(*(one(number) for number in range(count))))
    finally:
        await connection.close()


def measure(options: Options, streams: int) -> Run:
    """One run on a fresh gateway."""
    with site(options, max_connections=CONNECTIONS) as place:
        bare = cost(place.gateway.pid)
        ids = asyncio.run(create(place.nats.url, streams))
        print(f"{streams:,} streams written", flush=True)
        # The gateway has read them when it is quiet again.
        time.sleep(WARM_S / 2)
        known = cost(place.gateway.pid)
        with _client(options, place, ids) as client:
            opened = client.open()
            print(f"watched, one viewer each, after {opened.seconds:.1f} s", flush=True)
            client.tell(f"poisson {streams * options.more.per_minute / 60}")
            time.sleep(WARM_S)
            start = client.report()
            before, nats = cost(place.gateway.pid), cost(place.nats.pid)
            time.sleep(options.seconds)
            report, now, nats_spent = client.report(), cost(place.gateway.pid), cost(place.nats.pid).since(nats)
            end = client.settle()
    seconds = report.seconds - start.seconds
    return Run(
        streams=streams,
        opened_s=opened.seconds,
        server_cpu=now.since(before).seconds / seconds,
        nats_cpu=nats_spent.seconds / seconds,
        known=(known.rss - bare.rss) / streams,
        watched=(now.rss - bare.rss) / streams,
        delivered=end.items,
        report=report,
        end=end,
    )


def _client(options: Options, place: Site, ids: list[str]) -> Client:
    feed = place.log_options(corpus.plain())
    feed["subjects"] = write_lines(place.folder / "subjects", [subjects.live(0, each) for each in ids])
    return Client(
        options.client_core,
        port=place.port,
        paths=write_lines(place.folder / "paths", [events(each, options.query) for each in ids]),
        viewers=len(ids),
        **feed,
    )


def tell(result: Result, runs: list[Run]) -> None:
    """Fill in the table and the criteria."""
    columns = [
        "run",
        "streams",
        "core",
        "core of nats-server",
        "kB/stream known",
        "kB/stream watched",
        "p50 / p99 ms",
        "opened in s",
    ]
    columns += ["comments delivered", "violations"]
    rows = [
        [
            f"{number}",
            f"{run.streams:,}",
            f"{run.server_cpu:.3f}",
            f"{run.nats_cpu:.3f}",
            f"{run.known / 1000:.1f}",
            f"{run.watched / 1000:.1f}",
            f"{run.report.a.p50} / {run.report.a.p99}",
            f"{run.opened_s:.1f}",
            f"{run.delivered:,} of {run.end.published:,}",
            f"{run.end.violations.total}",
        ]
        for number, run in enumerate(runs, 1)
    ]
    result.tables.append(Table("Very many quiet streams", columns, rows))
    result.rounds = runs
    result.want("core", spread([run.server_cpu for run in runs]).median, at_most=0.20)
    result.want("kB per stream", spread([run.watched / 1000 for run in runs]).median, at_most=60)
    result.want("runs in which every comment arrived", sum(run.complete for run in runs), at_least=len(runs))


def main() -> None:
    """Run it."""
    made = parser("streams", __doc__, viewers=10_000, seconds=60, rounds=1)
    made.add_argument("--per-minute", type=float, default=1, help="comments per stream and minute (default %(default)s)")
    options = parse(made)
    more: argparse.Namespace = options.more
    streams = min(options.viewers, raise_file_limit() - SPARE_FILES)
    result = begin("streams", "Quiet streams", options, streams=streams, per_minute=more.per_minute)
    runs = []
    for number in range(options.rounds):
        run = measure(options, streams)
        print(f"run {number + 1}/{options.rounds}: {run}", flush=True)
        runs.append(run)
    tell(result, runs)
    result.finish()


if __name__ == "__main__":
    main()
