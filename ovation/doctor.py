"""What is missing on this machine, and what to do about it."""

import asyncio
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from infra import environment, ports, storage
from infra.errors import BadSettings, OvationError
from infra.objects.home import open_home
from infra.settings import Settings
from ovation import status
from ovation.programs import NATS_SERVER, bundled_ffmpeg

#: Less than this and JetStream and the store are near their end.
LOW_DISK = 1024**3
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
