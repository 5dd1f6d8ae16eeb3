"""What the fan-out is compared with: programs that take comments on one socket and send them to viewers on another."""

import dataclasses
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from bench.build import program
from bench.cpu import on_core, raise_file_limit
from bench.nginx import nginx
from bench.options import Options
from bench.servers import WHOLE, NotReady, known
from tests.ports import free_port
from tests.processes import environment

#: One channel that keeps a few messages, as a feed without catch-up needs.
NCHAN = """
server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /sub {{ nchan_subscriber {subscriber}; nchan_channel_id bench; }}
    location = /pub {{ nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 10; }}
}}
"""


@dataclass(frozen=True)
class Peer:
    """A running server: how the load generator watches it and feeds it."""

    pid: int
    port: int
    client: dict[str, object]
    positions: bool = True


@contextmanager
def c_loop(options: Options, interval_ms: float) -> Iterator[Peer]:
    """The limit: `csend.c`."""
    with _program([str(program("csend")), str(interval_ms)], options, {}) as (pid, told):
        client: dict[str, object] = {"path": "/events", "feed": "line", "feed_port": told["feed_port"]}
        yield Peer(pid, told["port"], client, positions=False)


@contextmanager
def fanout(options: Options, interval_ms: float) -> Iterator[Peer]:
    """Ours: `fanout_server.py`. Reactions and counts are left out, as the others have none."""
    settings = {
        "jwt_secret": secrets.token_hex(32),
        "window_ms": max(1, int(interval_ms)),
        # No stretching either: the others write as fast as they can.
        **known(window_max_ms=max(1, int(interval_ms))),
        **known(**WHOLE),
        **options.settings,
    }
    command = [sys.executable, "-m", "bench.fanout_server"]
    with _program(command, options, environment(**settings)) as (pid, told):
        path = f"/api/v1/streams/{told['stream_id']}/events?backfill=0&only=comments"
        yield Peer(pid, told["port"], {"path": path, "feed": "line", "feed_port": told["feed_port"]})


def fanout_python(options: Options, interval_ms: float) -> AbstractContextManager[Peer]:
    """Ours without its optional part in C."""
    return fanout(dataclasses.replace(options, settings={"writer": "python"} | options.settings), interval_ms)


@contextmanager
def starlette(options: Options, _interval_ms: float) -> Iterator[Peer]:
    """What one writes first: a queue per viewer behind a StreamingResponse."""
    with _program([sys.executable, "-m", "bench.starlette_server"], options, {}) as (pid, told):
        yield Peer(pid, told["port"], {"path": "/events", "feed": "line", "feed_port": told["feed_port"]}, positions=False)


@contextmanager
def _nchan(options: Options, subscriber: str, feed: str) -> Iterator[Peer]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ovation-bench-") as folder:
        servers = NCHAN.format(port=port, subscriber=subscriber)
        with nginx(Path(folder), options.server_core, servers, nchan=True) as process:
            client: dict[str, object] = {"path": "/sub", "feed": feed, "feed_port": port, "feed_path": "/pub"}
            yield Peer(process.pid, port, client, positions=False)


def nchan_raw(options: Options, _interval_ms: float) -> AbstractContextManager[Peer]:
    """The cheapest mode of nchan: the publisher posts frames, which are passed on as they are."""
    return _nchan(options, "http-raw-stream", "frame")


def nchan_sse(options: Options, _interval_ms: float) -> AbstractContextManager[Peer]:
    """Server-Sent Events of nchan, with ids of its own."""
    return _nchan(options, "eventsource", "data")


@contextmanager
def _program(command: list[str], options: Options, env: dict[str, str]) -> Iterator[tuple[int, dict[str, int]]]:
    raise_file_limit()
    with on_core(options.server_core):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=env or None, text=True)
    try:
        line = cast("IO[str]", process.stdout).readline()
        if not line:
            msg = f"{command} ended with {process.wait()}"
            raise NotReady(msg)
        yield process.pid, json.loads(line)
    finally:
        process.kill()
        process.communicate()
