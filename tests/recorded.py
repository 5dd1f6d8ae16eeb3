"""Around recordings: what is at home, read by others than those who wrote it."""

import asyncio
import re
from asyncio.subprocess import PIPE
from itertools import groupby
from pathlib import Path

from infra.objects.contract import ObjectStore
from tests.encoders import AAC, FFMPEG, H264, STREAM, TONE
from workers.media.cmaf.edges import LONGEST_MS, Marks, Pace, SourceEdges
from workers.media.cmaf.setup import Setup
from workers.media.cmaf.writer import Part, Writer
from workers.media.flv import AUDIO, VIDEO, Preamble
from workers.media.flvreader import FlvReader
from workers.media.recording import names as names_of
from workers.media.recording.names import Segment


async def names(home: ObjectStore, stream_id: str = STREAM) -> list[str]:
    """All objects of a stream, without its id."""
    return [facts.name.removeprefix(f"{stream_id}/") async for facts in home.list(stream_id)]


async def brought(home: ObjectStore, folder: Path, stream_id: str = STREAM) -> Path:
    """Copy the recording to *folder*, as a player would get it."""
    for name in await names(home, stream_id):
        if name.startswith("strip"):
            # What was shown while it was live; SeaweedFS also lists its folder once that is empty.
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(await home.read(f"{stream_id}/{name}"))
    return folder / "recording"


def only(folder: Path, pattern: str) -> Path:
    """The one file of *folder* that fits *pattern*."""
    (found,) = folder.glob(pattern)
    return found


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


async def filmed(seconds: float, *, size: str = "320x180") -> tuple[bytes, list[Part]]:
    """What one encoder sends in so long, as our muxer makes it: initialisation segment and parts."""
    source = ("-f", "lavfi", "-i", f"testsrc2=s={size}:r=30", *TONE, "-t", str(seconds))
    command = (FFMPEG, "-nostdin", "-v", "error", *source, *H264, *AAC, "-f", "flv", "pipe:1")
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    data, _ = await process.communicate()
    tags, preamble = list(FlvReader().feed(data)), Preamble()
    for tag in tags:
        preamble.note(tag)
    setup = Setup.read(preamble.header(VIDEO), preamble.header(AUDIO))
    writer = Writer(setup, SourceEdges(Marks(), Pace(200), lambda: LONGEST_MS, pictured=True))
    media = [tag for tag in tags if tag.type in (AUDIO, VIDEO) and not tag.is_header]
    return setup.initialisation(), [part for tag in media for part in writer.take(tag)] + writer.flush()


async def keep(
    home: ObjectStore, rendition: str, generation: int, film: tuple[bytes, list[Part]], at_ms: int, stream_id: str = STREAM
) -> int:
    """Put *film* at home as a worker records it, shown from *at_ms* on; how long it lasts, in ms."""
    init, parts = film
    await home.put(names_of.recording(stream_id, rendition, names_of.init(generation)), init)
    lasts_ms = 0
    for number, group in groupby(parts, lambda part: part.segment):
        pieces = list(group)
        segment = Segment(
            msn=number,
            generation=generation,
            discontinuity=generation,
            date_ms=at_ms + lasts_ms,
            duration_ms=sum(part.duration_ms for part in pieces),
        )
        lasts_ms += segment.duration_ms
        await home.put(names_of.recording(stream_id, rendition, segment.name), b"".join(part.data for part in pieces))
    return lasts_ms
