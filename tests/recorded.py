"""Around recordings: what is at home, read by others than those who wrote it."""

import asyncio
import re
from asyncio.subprocess import PIPE
from pathlib import Path

from infra.objects.contract import ObjectStore
from tests.encoders import FFMPEG, STREAM


async def names(home: ObjectStore, stream_id: str = STREAM) -> list[str]:
    """All objects of a stream, without its id."""
    return [facts.name.removeprefix(f"{stream_id}/") async for facts in home.list(stream_id)]


async def brought(home: ObjectStore, folder: Path, stream_id: str = STREAM) -> Path:
    """Copy the recording to *folder*, as a player would get it."""
    for name in await names(home, stream_id):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(await home.read(f"{stream_id}/{name}"))
    return folder / "recording"


async def ffmpeg(*arguments: str | Path) -> tuple[str, str]:
    """What ffmpeg writes and what it complains of."""
    command = (FFMPEG, "-nostdin", "-hide_banner", *(str(each) for each in arguments))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    out, errors = await process.communicate()
    return out.decode(), errors.decode()


async def complaints(path: Path) -> str:
    """What ffmpeg says while it decodes all of a file or playlist."""
    allowed = ("-allowed_extensions", "ALL") if path.suffix == ".m3u8" else ()
    _, errors = await ffmpeg("-v", "error", *allowed, "-i", path, "-f", "null", "-")
    return errors


async def pictures(path: Path) -> int:
    """How many pictures ffmpeg finds in a file."""
    out, errors = await ffmpeg("-v", "error", "-i", path, "-map", "0:v", "-c", "copy", "-f", "framecrc", "-")
    assert not errors, errors
    return sum(not line.startswith("#") for line in out.splitlines())


async def lasts_s(path: Path) -> float:
    """How long a file lasts, by its own account."""
    _, told = await ffmpeg("-i", path)
    hours, minutes, seconds = re.search(r"Duration: (\d+):(\d+):([\d.]+)", told).groups()  # type: ignore[union-attr]  # ffmpeg always tells
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def playlist_s(playlist: Path) -> float:
    """What the segments of a playlist last together."""
    return sum(float(each) for each in re.findall(r"#EXTINF:([\d.]+),", playlist.read_text()))


def uris(playlist: Path) -> list[Path]:
    """The segments of a playlist."""
    return [playlist.parent / line for line in playlist.read_text().splitlines() if line and not line.startswith("#")]
