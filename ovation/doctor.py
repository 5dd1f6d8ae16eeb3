"""What is missing on this machine, and what to do about it."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from infra import environment, ports, storage
from infra.clock import SystemClock
from infra.errors import BadSettings, OvationError
from infra.jetstream.connection import Connection
from infra.jetstream.pull import Pull
from infra.jetstream.reader import Reader
from infra.objects.home import open_home
from infra.settings import Settings
from ovation import status
from ovation.programs import NATS_SERVER, bundled_ffmpeg
from schemas import subjects
from workers.archive import lag
from workers.archive.run import DURABLE

#: Less than this and JetStream and the store are near their end.
LOW_DISK = 1024**3
#: How long a broker is waited for.
BROKER_S = 2.0
PAGES = Path(__file__).resolve().parents[1] / "web" / "dist" / "index.html"


def run() -> int:
    """Check everything, say each result; 1 when something is missing."""
    failed = 0
    for name, problem, step in _checks():
        failed += bool(problem)
        sys.stdout.write(f"{'missing' if problem else 'ok':<8} {name}{': ' + problem if problem else ''}\n")
        if problem:
            sys.stdout.write(f"         {step}\n")
    return 1 if failed else 0


def _checks() -> Iterator[tuple[str, str, str]]:
    """(what, what is wrong with it or nothing, the next step)."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield f"Python {version}", "" if sys.version_info >= (3, 11) else "3.11 is needed", "install Python 3.11 or newer"
    try:
        settings = environment.load()
    except BadSettings as error:
        yield "settings", str(error), "correct the variable; docs/settings.md lists all of them"
        return
    yield "settings", "", ""
    yield "nats-server", _program(str(NATS_SERVER), "--version"), "run ./just setup"
    yield "ffmpeg", _ffmpeg(settings), "run ./just setup, or set OVATION_FFMPEG"
    yield "pages", "" if PAGES.is_file() else "not built", "run ./just web"
    step = "correct OVATION_MEDIA_URL or OVATION_S3_*; docs/operating.md says where recordings live"
    # Somebody may have written keys into it.
    where = "OVATION_MEDIA_URL" if "@" in settings.media_url else settings.media_url or settings.data_dir / "media"
    yield f"recordings in {where}", asyncio.run(_home(settings)), step
    yield f"store {storage.named(settings)}", _store(settings), "see docs/operating.md, The store on a cluster"
    yield "archive", asyncio.run(_archive(settings)), "see docs/operating.md, When the store is away"
    yield f"data directory {settings.data_dir.absolute()}", _disk(settings.data_dir), "free space, or set OVATION_DATA_DIR"
    ours = status.pids(settings.data_dir)
    for variable, host, port in (
        ("OVATION_HTTP_PORT", settings.http_host, settings.http_port),
        ("OVATION_RTMP_PORT", "127.0.0.1", settings.rtmp_port),
        ("OVATION_NATS_PORT", "127.0.0.1", settings.nats_port),
        ("OVATION_OPS_PORT", settings.ops_host, settings.ops_port),
    ):
        name = f"port {port} ({variable})"
        if (held := ports.holder(port)) is not None and held.pid in ours:
            yield f"{name}, which `ovation up` of this data directory has", "", ""
        else:
            yield name, _port(host, port, variable), f"stop what holds it, or set {variable}"


def _program(path: str, *arguments: str) -> str:
    try:
        subprocess.run([path, *arguments], capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return ""


def _ffmpeg(settings: Settings) -> str:
    if settings.ffmpeg:
        return _program(settings.ffmpeg, "-version")
    try:
        return _program(bundled_ffmpeg(), "-version")
    except RuntimeError as error:
        return str(error)


async def _home(settings: Settings) -> str:
    """Write, read, list and delete an object."""
    name = f"doctor/{uuid.uuid4().hex}"
    try:
        home = open_home(settings)
        await home.put(name, b"probe")
        if await home.read(name) != b"probe" or name not in [each.name async for each in home.list("doctor")]:
            return "what was put there is not there"
        await home.delete([name])
    except OvationError as error:
        return str(error)
    return ""


def _store(settings: Settings) -> str:
    if not settings.store_is_cluster:
        # The file is made by whoever needs it first.
        return ""
    try:
        asyncio.run(_opened(settings))
    except OvationError as error:
        return str(error)
    return ""


async def _opened(settings: Settings) -> None:
    await (await storage.open_storage(settings)).close()


async def _archive(settings: Settings) -> str:
    """What waits so long, or is so much, that it is lost before long; nothing where no broker runs."""
    clock = SystemClock()
    connection = Connection(settings.nats_url, "doctor", clock)
    alarms: list[str] = []
    if not _listens(settings.nats_url):
        return ""
    try:
        await connection.open(wait_s=BROKER_S)
    except OvationError:
        return ""
    reader = Reader(connection)
    try:
        for shard in range(settings.shards):
            log_name = subjects.live_log(shard)
            alarms += lag.alarm(log_name, await lag.measure(Pull(connection, log_name, DURABLE), reader, clock, shard)).values()
    except (OvationError, LookupError):
        # No topology yet: others say so where it matters.
        return ""
    finally:
        await connection.close()
    return "; ".join(alarms)


def _listens(nats_url: str) -> bool:
    place = urlsplit(nats_url.split(",", maxsplit=1)[0])
    try:
        socket.create_connection((place.hostname or "127.0.0.1", place.port or 4222), timeout=BROKER_S).close()
    except OSError:
        return False
    return True


def _disk(path: Path) -> str:
    folder = path.absolute()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return "cannot be written"
    free = shutil.disk_usage(folder).free
    return f"only {free // 1024**2} MiB are free" if free < LOW_DISK else ""


def _port(host: str, port: int, variable: str) -> str:
    try:
        ports.check_free(host, port, variable)
    except BadSettings as error:
        return str(error)
    return ""
