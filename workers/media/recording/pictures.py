"""Still pictures of a recording: a poster, and a strip of small ones with the cues that say which is when.

Only keyframes are decoded, one per picture that is wanted: of each chosen segment the first picture is read, and nothing else.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from infra.objects.contract import ObjectStore
from workers.media.recording import names
from workers.media.recording.fragments import keyframe, needed
from workers.media.recording.program import ffmpeg
from workers.media.recording.tracks import Kept

#: Pictures of a strip: one per 5 s of a short recording, one per 3 minutes of a long one.
MOST, EVERY_S, COLUMNS = 100, 5, 10
WIDTH, HEIGHT = 160, 90
POSTER_WIDTH = 1280
#: A poster is taken from here, in parts of the whole: what comes first is often a title, or nothing.
_POSTER_AT = 0.1
#: Read of a segment at first: the description of its first part and, mostly, its first picture.
_HEAD = 64 * 1024
_MOST_KEYFRAME = 4 * 1024**2
_LIMIT_S = 60.0
_FIT = f"scale={WIDTH}:{HEIGHT}:force_original_aspect_ratio=decrease,pad={WIDTH}:{HEIGHT}:-1:-1,setsar=1"


def chosen(kept: Sequence[Kept]) -> list[int]:
    """The places in *kept* of the segments that a strip shows, evenly in time."""
    whole_ms = sum(each.segment.duration_ms for each in kept)
    count = max(1, min(MOST, len(kept), math.ceil(whole_ms / 1000 / EVERY_S)))
    places: list[int] = []
    at = 0
    for place, each in enumerate(kept):
        if len(places) < count and at * count >= len(places) * whole_ms:
            places.append(place)
        at += each.segment.duration_ms
    return places


async def first_picture(home: ObjectStore, name: str, number: int) -> bytes | None:
    """The keyframe that the segment *name* begins with, as a part shown in second *number*; `None` where there is none."""
    data = await home.read(name, 0, _HEAD)
    size = min(needed(data), _MOST_KEYFRAME) if len(data) >= 8 else 0
    if size > len(data):
        data += await home.read(name, len(data), size)
    return keyframe(data, number)


async def poster(program: Path, init: bytes, picture: bytes) -> bytes:
    """A JPEG of a part that holds one keyframe.

    Raises:
        workers.media.ffmpeg.FfmpegFailed: it could not be made.
    """
    scaled = f"scale='min({POSTER_WIDTH},iw)':-2"
    words = ["-f", "mp4", "-i", "pipe:0", "-map", "0:v:0", "-frames:v", "1", "-vf", scaled, "-q:v", "4"]
    return await ffmpeg(program, [*words, "-f", "mjpeg", "pipe:1"], limit_s=_LIMIT_S, given=init + picture)


async def two_sizes(program: Path, init: bytes, picture: bytes, width: int, work: Path) -> tuple[bytes, bytes]:
    """JPEGs of a part that holds one keyframe: at most *width* pixels wide, and as a strip has it. *work* is an empty folder.

    Raises:
        workers.media.ffmpeg.FfmpegFailed: they could not be made.
        OSError: the disk is full.
    """
    large, small = work / "large.jpg", work / "small.jpg"
    scaled = f"[0:v:0]split[a][b];[a]scale='min({width},iw)':-2[large];[b]{_FIT}[small]"
    words = ["-f", "mp4", "-i", "pipe:0", "-filter_complex", scaled]
    for name, path in (("[large]", large), ("[small]", small)):
        words += ["-map", name, "-frames:v", "1", "-q:v", "4", "-update", "1", str(path)]
    await ffmpeg(program, words, limit_s=_LIMIT_S, given=init + picture)
    return await asyncio.to_thread(large.read_bytes), await asyncio.to_thread(small.read_bytes)


async def tiled(program: Path, tiles: Sequence[bytes]) -> bytes:
    """One JPEG of small ones, `COLUMNS` in a row.

    Raises:
        workers.media.ffmpeg.FfmpegFailed: it could not be made.
    """
    grid = f"tile={min(COLUMNS, len(tiles))}x{-(-len(tiles) // COLUMNS)}"
    words = ["-f", "image2pipe", "-c:v", "mjpeg", "-i", "pipe:0", "-vf", grid, "-frames:v", "1", "-q:v", "4"]
    return await ffmpeg(program, [*words, "-f", "mjpeg", "pipe:1"], limit_s=_LIMIT_S, given=b"".join(tiles))


async def stills(
    program: Path, home: ObjectStore, stream_id: str, name: str, kept: Sequence[Kept], inits: Mapping[int, bytes], work: Path
) -> tuple[bytes, bytes, list[tuple[int, int]]] | None:
    """Poster, strip, and the stretches of time in it (see `cues`), of rendition *name*; `None` where there are no pictures.

    Raises:
        workers.media.ffmpeg.FfmpegFailed: they could not be made.
        infra.errors.Unavailable: the home does not answer.
    """
    places, shown = chosen(kept), list[int]()
    groups: list[tuple[bytes, list[bytes]]] = []
    for place in places:
        segment = kept[place].segment
        picture = await first_picture(home, names.recording(stream_id, name, segment.name), len(shown))
        if picture is None:
            continue
        init = inits[segment.generation]
        if not groups or groups[-1][0] != init:
            groups.append((init, []))
        groups[-1][1].append(picture)
        shown.append(place)
    if not shown:
        return None
    count = 0
    for init, pictures in groups:
        words = ["-f", "mp4", "-i", "pipe:0", "-map", "0:v:0", "-vf", _FIT, "-fps_mode", "passthrough", "-q:v", "4"]
        output = ["-start_number", str(count), "-f", "image2", str(work / "still-%04d.jpg")]
        await ffmpeg(program, [*words, *output], limit_s=_LIMIT_S, given=init + b"".join(pictures))
        count += len(pictures)
    strip = await tiled(program, [(work / f"still-{number:04}.jpg").read_bytes() for number in range(count)])
    place = shown[int(len(shown) * _POSTER_AT)]
    segment = kept[place].segment
    picture = await first_picture(home, names.recording(stream_id, name, segment.name), 0) or b""
    return await poster(program, inits[segment.generation], picture), strip, _stretches(kept, shown)


def _stretches(kept: Sequence[Kept], shown: Sequence[int]) -> list[tuple[int, int]]:
    """For which stretch of the recording each picture is shown, in ms from its beginning."""
    starts, at = [], 0
    for each in kept:
        starts.append(at)
        at += each.segment.duration_ms
    begins = [0, *(starts[place] for place in shown[1:])]
    return list(zip(begins, [*begins[1:], at], strict=True))


def cues(stretches: Iterable[tuple[int, int]], strip: str, note: str = "") -> bytes:
    """WebVTT: which part of the JPEG *strip* is shown for which stretch of time, in ms; *note* says from when on."""
    lines = ["WEBVTT", "", *([f"NOTE {note}", ""] if note else [])]
    for number, (begin, end) in enumerate(stretches):
        x, y = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT
        lines += [f"{_clock(begin)} --> {_clock(end)}", f"{strip}#xywh={x},{y},{WIDTH},{HEIGHT}", ""]
    return "\n".join(lines).encode()


def _clock(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
