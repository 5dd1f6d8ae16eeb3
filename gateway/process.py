"""The composition root of `ovation gateway`: settings in, a running gateway out. The only place that names a store."""

import asyncio
import contextlib
import os
import secrets
import socket

from gateway.app import Deps, create_app
from gateway.auth import Authenticator
from gateway.commands import Commands
from gateway.directory import StreamDirectory
from gateway.edge import descriptors
from gateway.edge.protocol import Edge
from gateway.edge.server import serve
from gateway.fanout.admission import Admission
from gateway.fanout.doorway import doorway_with
from gateway.fanout.hub import Hub
from gateway.fanout.office import Office
from gateway.fanout.protocol import protocol_with
from gateway.fanout.sockets import Sockets
from gateway.history import History
from gateway.taps import Taps
from infra.clock import SystemClock
from infra.errors import BadSettings, Unavailable
from infra.jetstream.connection import Connection
from infra.jetstream.counters import Counters
from infra.jetstream.feed import Feed
from infra.jetstream.kv import Bucket
from infra.jetstream.leases import BUCKET as LEASES
from infra.jetstream.leases import MachineLease
from infra.jetstream.limits import Limits
from infra.jetstream.publisher import Publisher
from infra.jetstream.reader import Reader
from infra.jetstream.streams import BUCKET as STREAMS
from infra.jetstream.streams import StreamRecords
from infra.lifecycle import Lifecycle
from infra.settings import Settings
from infra.sqlite import Database, SqliteComments, SqliteStreams
from infra.telemetry import logs
from schemas.subjects import part_of

log = logs.get(__name__)

BACKLOG = 4096
RETRY_S = 0.5


async def run(settings: Settings, lifecycle: Lifecycle, listen_fd: int | None = None) -> None:
    """Serve until `lifecycle.stopping`, then drain. *listen_fd* is a listening socket that the parent owns.

    Raises:
        BadSettings: a setting, a port or a key is wrong.
        StoreTooNew: the store was written by a newer version.
        Unavailable: the broker did not answer for 30 s.
    """
    settings = descriptors.fitted(settings)
    clock = SystemClock()
    authenticator = Authenticator(settings, clock)
    listening = _listen(settings, listen_fd)
    lifecycle.readiness.expect("nats", "connecting")
    lifecycle.readiness.expect("streams", "reading the stream records")
    database = await Database.open(settings.store_path())
    comments, streams = SqliteComments(database), SqliteStreams(database)
    name = f"gateway-{secrets.token_hex(6)}"
    connection = await Connection(settings.nats_url, name, clock).open()
    publisher, reader = Publisher(connection, settings.publish_wait_s), Reader(connection)
    counters, feed = Counters(publisher, reader, part_of(name, settings.counter_shards)), Feed(connection)
    records = StreamRecords(Bucket(STREAMS, connection, publisher, reader), publisher)
    lease = MachineLease(Bucket(LEASES, connection, publisher, reader), clock, f"{socket.gethostname()}:{os.getpid()}")
    directory = StreamDirectory(records, streams)
    history = History(comments, reader, clock)
    hub = Hub(settings, clock, connection, reader, history, counters, name)
    taps = Taps(name, counters, feed, clock, settings.reaction_ms, hub.tally)
    directory.on_change(hub.changed)
    try:
        for start in (lambda: directory.start(feed), lease.start, hub.start):
            await _patiently(start, lifecycle)
        lifecycle.readiness.met("streams")
        _follow_connection(connection, lifecycle)
        deps = Deps(
            settings=settings,
            clock=clock,
            authenticator=authenticator,
            directory=directory,
            records=records,
            history=history,
            publisher=publisher,
            reader=reader,
            limits=Limits(publisher, reader, clock),
            counters=counters,
            taps=taps,
            lease=lease,
            viewer_count=hub.count,
            reaction_totals=hub.reaction_totals,
        )
        await _serve(deps, hub, listening, lifecycle, shared=listen_fd is not None)
    finally:
        await taps.stop()
        await lease.stop()
        await hub.stop()
        await directory.stop()
        await connection.close()
        await database.close()


async def _serve(deps: Deps, hub: Hub, listening: socket.socket, lifecycle: Lifecycle, *, shared: bool) -> None:
    """Open the three ways in: events, WebSockets, and the application for everything else."""
    sockets = Sockets(hub, deps.authenticator, Office(hub, deps.directory, Commands(deps)), deps.clock)
    admission, edge = Admission(hub, deps.directory, deps.authenticator), Edge(deps.settings)
    door = doorway_with(admission, protocol_with(admission, edge, sockets))

    async def drain(seconds: float) -> None:
        await asyncio.gather(hub.drain(seconds), sockets.drain(seconds))
        await sockets.goodbye()

    sockets.start()
    try:
        await serve(create_app(deps), door, edge, listening, lifecycle, drain, shared=shared)
    finally:
        await sockets.stop()


def _listen(settings: Settings, listen_fd: int | None) -> socket.socket:
    if listen_fd is not None:
        return socket.socket(fileno=listen_fd)
    family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.http_host, settings.http_port))
    except OSError as error:
        listening.close()
        msg = (
            f"OVATION_HTTP_PORT={settings.http_port}: cannot listen on {settings.http_host} "
            f"({error.strerror}); stop what holds it or choose another"
        )
        raise BadSettings(msg) from error
    listening.listen(BACKLOG)
    return listening


async def _patiently(start: object, lifecycle: Lifecycle) -> None:
    """Start a part that needs the broker, again until it works: the topology may still be on its way."""
    while not lifecycle.stopping.is_set():
        try:
            await start()  # type: ignore[operator]  # one of the three start methods above
        except Unavailable as error:
            log.warning("not started yet", cause=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(lifecycle.stopping.wait(), RETRY_S)
        else:
            return


def _follow_connection(connection: Connection, lifecycle: Lifecycle) -> None:
    def down() -> None:
        lifecycle.readiness.expect("nats", "the broker is away")
        lifecycle.update()

    async def up() -> None:
        lifecycle.readiness.met("nats")
        lifecycle.update()

    connection.on_down(down)
    connection.on_up(up)
    lifecycle.readiness.met("nats")
