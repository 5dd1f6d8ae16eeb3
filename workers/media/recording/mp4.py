"""A recording as one MP4, without encoding anything again, across reconnects.

Segments that continue each other are joined to one file behind their initialisation segment; ffmpeg puts these files in a row
(reading the playlist instead warned of repeated headers and of times out of order). Disk: twice the recording, in the spool.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.objects.contract import ObjectStore
from workers.media.ffmpeg import FfmpegFailed
from workers.media.recording import names
from workers.media.recording.program import ffmpeg
from workers.media.recording.tracks import Kept, Row

#: ffmpeg copies 350 s of media per second here; a slow disk may be ten times slower.
_LEAST_S, _PER_SECOND = 60.0, 0.1


def best(candidates: Mapping[str, Sequence[Kept | None]], inits: Mapping[tuple[str, int], bytes]) -> str | None:
    """The rendition to make the MP4 of, the first of *candidates* that has all of it under one set-up of its decoders.

    `None` where none has: one MP4 has one set-up per track, and another one in the middle would need encoding again.
    """
    for name, there in candidates.items():
        setups = {inits[name, each.segment.generation] for each in there if each is not None}
        if None not in there and len(setups) == 1:
            return name
    return None


async def assemble(
    program: Path, home: ObjectStore, stream_id: str, name: str, rows: Sequence[Row], kept: Sequence[Kept], work: Path
) -> Path:
    """Make the MP4 of rendition *name* below *work*, an empty folder.

    Raises:
        FfmpegFailed: it could not be made.
        OSError: the disk is full.
        infra.errors.Unavailable: the home does not answer.
        infra.errors.Missing: a segment is gone from it.
    """
    lines: list[str] = ["ffconcat version 1.0"]
    for number, run in enumerate(_runs(rows, kept)):
        joined = work / f"run-{number}.mp4"
        segments = [names.init(run[0].segment.generation), *(each.segment.name for each in run)]
        with joined.open("wb") as file:
            for segment in segments:
                async for piece in home.stream(names.recording(stream_id, name, segment)):
                    await asyncio.to_thread(file.write, piece)
        lasts_ms = sum(each.segment.duration_ms for each in run)
        lines += [f"file '{joined.name}'", f"duration {lasts_ms / 1000:.3f}"]
    listing, made = work / "runs.txt", work / names.MP4
    listing.write_text("\n".join([*lines, ""]))
    seconds = sum(each.segment.duration_ms for each in kept) / 1000
    copied = ("-f", "concat", "-safe", "0", "-i", str(listing), "-map", "0", "-c", "copy", "-movflags", "+faststart")
    await ffmpeg(program, [*copied, "-f", "mp4", str(made)], limit_s=_LEAST_S + seconds * _PER_SECOND)
    if not made.exists() or not made.stat().st_size:
        msg = "ffmpeg wrote no MP4"
        raise FfmpegFailed(msg)
    return made


def _runs(rows: Sequence[Row], kept: Sequence[Kept]) -> list[list[Kept]]:
    runs: list[list[Kept]] = []
    for row, each in zip(rows, kept, strict=True):
        if row.breaks or not runs:
            runs.append([])
        runs[-1].append(each)
    return runs
