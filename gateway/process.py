"""The composition root of `ovation gateway`: settings in, a running gateway out."""

import asyncio
import contextlib
import gc
import secrets
import socket
from collections.abc import Awaitable, Callable

from gateway.auth import Authenticator
from gateway.edge import descriptors
from gateway.edge.server import serve
from gateway.parts import Parts
from infra import ports
from infra.clock import SystemClock
from infra.errors import Unavailable
from infra.jetstream.connection import Connection
from infra.lifecycle import Lifecycle
from infra.objects.home import open_folder, open_home
from infra.settings import Settings
from infra.storage import open_storage
from infra.telemetry import logs

log = logs.get(__name__)

#: Objects made between two collections of the youngest: a thousand posts in flight are 30,000 objects that are no garbage. A
#: collection among them takes 5 to 20 ms, just when many wait (at 20,000 the p99 of 4,000 posts/s was 45 ms, here 37).
GARBAGE = 100_000
RETRY_S = 0.5


async def run(settings: Settings, lifecycle: Lifecycle, listen_fd: int | None = None) -> None:
    """Serve until `lifecycle.stopping`, then drain. *listen_fd* is a listening socket that the parent owns.

    Raises:
        BadSettings: a setting, a port or a key is wrong.
        StoreTooNew: the store was written by a newer version.
        Unavailable: the broker did not answer for 30 s, or the store cannot be opened.
    """
    settings = descriptors.fitted(settings)
    clock = SystemClock()
    authenticator = Authenticator(settings, clock)
    live, home = open_folder(settings), open_home(settings)
    listening = _listen(settings, listen_fd)
    lifecycle.readiness.expect("nats", "connecting")
    lifecycle.readiness.expect("streams", "reading the stream records")
    storage = await open_storage(settings)
    connection = await Connection(settings.nats_url, f"gateway-{secrets.token_hex(6)}", clock).open()
    parts = Parts(settings, clock, authenticator, connection, storage.comments, storage.streams, live, home)
    try:
        for start in parts.starts():
            await _patiently(start, lifecycle)
        lifecycle.readiness.met("streams")
        _follow_connection(connection, lifecycle)
        _tune_interpreter()
        await serve(parts.app(), parts.door(), parts.edge, listening, lifecycle, parts.drain, shared=listen_fd is not None)
    finally:
        await parts.stop()
        await connection.close()
        await storage.close()


def _tune_interpreter() -> None:
    gc.collect()
    # What is there now stays; walking it again and again would hold the loop for 20 ms at a time.
    gc.freeze()
    gc.set_threshold(GARBAGE, 20, 50)


def _listen(settings: Settings, listen_fd: int | None) -> socket.socket:
    if listen_fd is not None:
        return socket.socket(fileno=listen_fd)
    return ports.listen(settings.http_host, settings.http_port, "OVATION_HTTP_PORT", both_families=True)


async def _patiently(start: Callable[[], Awaitable[object]], lifecycle: Lifecycle) -> None:
    """Start a part that needs the broker, again until it works: the topology may still be on its way."""
    while not lifecycle.stopping.is_set():
        try:
            await start()
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
