"""The archive as one part of a process: a consumer for each live log and one for the stream records, over one store."""

import asyncio
from collections.abc import Callable

from infra.clock import Clock
from infra.jetstream.connection import Connection
from infra.jetstream.counters import Counters
from infra.jetstream.deadletter import DeadLetters
from infra.jetstream.erasing import Eraser
from infra.jetstream.kv import Bucket
from infra.jetstream.publisher import Publisher
from infra.jetstream.pull import Pull
from infra.jetstream.reader import Reader
from infra.jetstream.streams import BUCKET, StreamRecords
from infra.settings import Settings
from infra.stores import CommentStore, StreamStore
from schemas import subjects
from workers.archive.erasure import Erasure
from workers.archive.lag import LagWatch
from workers.archive.live import LiveArchive
from workers.archive.pace import Pace
from workers.archive.records import RecordArchive
from workers.waiting import STARTING
from workers.worker import Worker

DURABLE = "archive"


async def run(
    *,
    settings: Settings,
    connection: Connection,
    comments: CommentStore,
    streams: StreamStore,
    clock: Clock,
    stopping: asyncio.Event,
    trouble: Callable[[str], None],
    behind: Callable[[str], None] = lambda _cause: None,
    store: str = "",
) -> None:
    """Archive until *stopping*; *trouble* is told what is waited for, and "" when everything goes on.

    *behind* is told of a log that loses messages soon unless it is archived faster, and "" when there is none any more.

    *store* is what lines about a slow one call it.
    """
    reader = Reader(connection)
    publisher = Publisher(connection, settings.publish_wait_s)
    records = record_archive(settings, connection, comments, streams, reader, publisher, clock)
    dead = DeadLetters(publisher)
    paces = [Pace(subjects.live_log(shard), store, clock) for shard in range(settings.shards)]
    troubles: dict[str, str] = {}

    def worker(log_name: str, make: Callable[[Pull], LiveArchive | RecordArchive]) -> Worker:
        troubles[log_name] = STARTING

        def tell(cause: str) -> None:
            troubles[log_name] = cause
            trouble(next((each for each in troubles.values() if each), ""))

        pull = Pull(connection, log_name, DURABLE, settings.archive_batch)
        return Worker(
            pull,
            make(pull),
            dead,
            clock,
            gather_s=settings.archive_gather_ms / 1000,
            max_attempts=settings.archive_max_deliver,
            trouble=tell,
        )

    def live(shard: int) -> Worker:
        return worker(subjects.live_log(shard), lambda pull: LiveArchive(pull, comments, reader, clock, shard, paces[shard]))

    workers: list[Worker | LagWatch] = [live(shard) for shard in range(settings.shards)]
    workers += watches(connection, reader, clock, paces, behind)
    workers.append(worker(f"KV_{BUCKET}", lambda _pull: records))
    async with asyncio.TaskGroup() as group:
        for each in workers:
            group.create_task(each.run(stopping))


def watches(
    connection: Connection, reader: Reader, clock: Clock, paces: list[Pace], behind: Callable[[str], None]
) -> list[LagWatch]:
    """One watch for each live log, in the order of *paces*; *behind* is told the first alarm of all, and "" for none."""
    alarms: dict[str, str] = {}

    def watch(shard: int) -> LagWatch:
        log_name = subjects.live_log(shard)

        def tell(alarm: str) -> None:
            alarms[log_name] = alarm
            behind(next((each for each in alarms.values() if each), ""))

        return LagWatch(Pull(connection, log_name, DURABLE), reader, clock, shard, tell, paces[shard].learn)

    return [watch(shard) for shard in range(len(paces))]


def record_archive(
    settings: Settings,
    connection: Connection,
    comments: CommentStore,
    streams: StreamStore,
    reader: Reader,
    publisher: Publisher,
    clock: Clock,
) -> RecordArchive:
    """What archives the stream records, and erases what deleted streams leave."""
    erasure = Erasure(
        streams=streams,
        comments=comments,
        reader=reader,
        publisher=publisher,
        eraser=Eraser(connection, reader),
        clock=clock,
        shards=settings.shards,
    )
    return RecordArchive(
        streams=streams,
        comments=comments,
        records=StreamRecords(Bucket(BUCKET, connection, publisher, reader), publisher),
        counters=Counters(publisher, reader),
        reader=reader,
        clock=clock,
        live_max_age_s=settings.live_max_age_h * 3600,
        erasure=erasure,
    )
