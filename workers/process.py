"""The composition root of `ovation worker NAME`: settings in, a running worker out."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from infra import folders, ports
from infra.clock import Clock, SystemClock
from infra.errors import BadSettings, Unavailable
from infra.jetstream.claims import WorkClaims
from infra.jetstream.connection import Connection
from infra.jetstream.feed import Feed
from infra.jetstream.kv import Bucket
from infra.jetstream.leases import BUCKET as LEASES
from infra.jetstream.publisher import Publisher
from infra.jetstream.reader import Reader
from infra.jetstream.streamleases import StreamLeases
from infra.jetstream.streams import BUCKET, StreamRecords
from infra.lifecycle import Lifecycle
from infra.objects.home import open_home
from infra.settings import Settings
from infra.storage import Storage, check, named, open_storage
from workers.archive.run import run as run_archive
from workers.media.command import check_ffmpeg
from workers.media.ingest import run as run_media
from workers.media.keys import Keys
from workers.media.ledger import Ledger
from workers.media.origin import PREFIX
from workers.waiting import STARTING, Waiting

#: What stands for the log's name while the store is opened.
STORE = "store"
OPEN_AGAIN_S = 2.0


async def run(name: str, settings: Settings, lifecycle: Lifecycle) -> None:
    """Run the worker *name* (one of `WORKERS`) until `lifecycle.stopping`, and drain it.

    Raises:
        BadSettings: a setting or a port is wrong.
        StoreTooNew: the store was written by a newer version.
        Unavailable: the broker did not answer for 30 s.
    """
    _refuse(name, settings)
    lifecycle.readiness.expect("nats", "connecting")
    lifecycle.readiness.expect(name, "starting")
    connection = await Connection(settings.nats_url, f"worker-{name}", SystemClock()).open()
    try:
        _follow(connection, lifecycle)
        await WORKERS[name](settings, lifecycle, connection)
    finally:
        await connection.close()


def _refuse(name: str, settings: Settings) -> None:
    """Say what can be said of the settings before a broker is waited for, which may not come.

    Raises:
        BadSettings: names the variable.
    """
    if name == "archive":
        check(settings)
    else:
        open_home(settings)
        check_ffmpeg(settings.ffmpeg)
        if settings.media_url:
            folders.make(settings.media_path(), "OVATION_MEDIA_URL")
        hosts = [host.strip() for host in settings.rtmp_host.split(",") if host.strip()]
        ports.check_any(hosts, settings.rtmp_port, "OVATION_RTMP_PORT")


async def _archive(settings: Settings, lifecycle: Lifecycle, connection: Connection) -> None:
    def trouble(cause: str) -> None:
        _condition(lifecycle, "archive", cause)

    storage = await _opened(settings, trouble, lifecycle.stopping, connection.clock)
    if storage is None:
        return
    try:
        await run_archive(
            settings=settings,
            connection=connection,
            comments=storage.comments,
            streams=storage.streams,
            clock=connection.clock,
            stopping=lifecycle.stopping,
            trouble=trouble,
            behind=lambda cause: _condition(lifecycle, "archive_lag", cause),
            store=named(settings),
        )
    finally:
        await storage.close()


async def _opened(settings: Settings, trouble: Callable[[str], None], stopping: asyncio.Event, clock: Clock) -> Storage | None:
    """The store, once it can be opened; `None` when told to stop before. An end and a new start would mend nothing."""
    waiting = Waiting(STORE, lambda cause: trouble(cause or STARTING), clock)
    while not stopping.is_set():
        try:
            opened = await open_storage(settings)
        except Unavailable as error:
            waiting.on(str(error))
        else:
            waiting.over(calm_s=0)
            return opened
        with suppress(TimeoutError):
            async with asyncio.timeout(OPEN_AGAIN_S):
                await stopping.wait()
    return None


async def _media(settings: Settings, lifecycle: Lifecycle, connection: Connection) -> None:
    publisher, reader = Publisher(connection, settings.publish_wait_s), Reader(connection)
    records = StreamRecords(Bucket(BUCKET, connection, publisher, reader), publisher)
    feed = Feed(connection)
    leases = Bucket(LEASES, connection, publisher, reader)
    origin = (settings.origin_url or lifecycle.ops.url).rstrip("/")
    worker = f"media-{os.getpid()}@{socket.gethostname()}"
    ownership = StreamLeases(leases, feed, connection.clock, worker, origin)
    ledger = Ledger(publisher, reader, worker)
    try:
        await run_media(
            settings,
            Keys(records, feed, connection.clock),
            lifecycle.stopping,
            lambda: _condition(lifecycle, "media", ""),
            ownership=ownership,
            home=open_home(settings),
            journal=ledger,
            claims=WorkClaims(leases, connection.clock, worker),
            serve=lambda origin: lifecycle.ops.mount(PREFIX, origin.answer),
        )
    except OSError as error:
        msg = f"OVATION_RTMP_PORT={settings.rtmp_port} or {settings.media_path()}: {error}"
        raise BadSettings(msg) from error
    finally:
        await ledger.close()
        await ownership.close()


WORKERS: dict[str, Callable[[Settings, Lifecycle, Connection], Awaitable[None]]] = {
    "archive": _archive,
    "media": _media,
}


def _condition(lifecycle: Lifecycle, name: str, cause: str) -> None:
    if cause:
        lifecycle.readiness.expect(name, cause)
    else:
        lifecycle.readiness.met(name)
    lifecycle.update()


def _follow(connection: Connection, lifecycle: Lifecycle) -> None:
    async def up() -> None:
        _condition(lifecycle, "nats", "")

    connection.on_down(lambda: _condition(lifecycle, "nats", "the broker is away"))
    connection.on_up(up)
    lifecycle.readiness.met("nats")
