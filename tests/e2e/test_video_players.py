"""Players that are no browser, on a live stream of ours: they play it, and what they show is the clock that was burnt in."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from bench.broadcast import Broadcast, broadcast
from tests import glass
from tests.backends import programs
from tests.encoders import FFMPEG
from tests.waits import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.nats, pytest.mark.timeout(300)]

WIDTH, HEIGHT = 320, 180
#: Two seconds: across at least one edge of a segment.
PICTURES = 60
#: The source burns in when it makes a picture, which two busy cores may delay: one try of these has to be at its pace.
TRIES = 3


@pytest.fixture(name="live")
async def _live() -> AsyncIterator[Broadcast]:
    async with broadcast(size=(WIDTH, HEIGHT), rate="500k", settings={"transcode_heights": 0}) as made:
        yield made


def clock(picture: bytes) -> int | None:
    """The milliseconds burnt into a picture's luma; `None` when they cannot be read."""
    block = WIDTH // glass.BLOCKS
    row = picture[8 * WIDTH : 9 * WIDTH]
    bits = [int(row[n * block + block // 2] > 127) for n in range(glass.BLOCKS)]
    stamp = int("".join(map(str, bits[:32])), 2)
    return stamp if glass.bits(stamp) == bits else None


def clocks(file: Path) -> list[int | None]:
    """Of all pictures in a file of luma."""
    data, size = file.read_bytes(), WIDTH * HEIGHT
    return [clock(data[at : at + size]) for at in range(0, PICTURES * size, size)]


def ffmpeg(url: str, file: Path) -> tuple[str, ...]:
    """FFmpeg: luma of the first pictures."""
    arguments = ("-map", "0:v", "-frames:v", str(PICTURES), "-pix_fmt", "gray", "-f", "rawvideo", "-y", str(file))
    return (FFMPEG, "-nostdin", "-v", "error", "-i", url, *arguments)


def gstreamer(url: str, file: Path) -> tuple[str, ...]:
    """GStreamer: the same."""
    program = programs.gstreamer()
    assert program is not None, "there is no GStreamer; `sh scripts/gstreamer.sh` unpacks it"
    decoded = ("qtdemux", "name=d", "d.video_0", "!", "queue", "!", "h264parse", "!", "openh264dec", "!")
    kept = ("videoconvert", "!", "video/x-raw,format=GRAY8", "!")
    return (
        program,
        "-q",
        "souphttpsrc",
        f"location={url}",
        "!",
        "hlsdemux",
        "!",
        *decoded,
        *kept,
        "filesink",
        f"location={file}",
    )


async def play(command: Sequence[str], file: Path) -> list[int | None]:
    """Let a player write `PICTURES` pictures to *file*, then end it; their clocks."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    size = WIDTH * HEIGHT
    try:
        # GStreamer plays for as long as the stream does.
        await eventually(lambda: file.exists() and file.stat().st_size >= PICTURES * size, timeout=60)
    finally:
        if process.returncode is None:
            process.kill()
        said, _ = await process.communicate()
    assert b"ERROR" not in said, said.decode()
    return clocks(file)


async def test_players_show_every_picture(live: Broadcast, tmp_path: Path) -> None:
    """From the multivariant playlist on, FFmpeg and GStreamer: two seconds, each picture a thirtieth after the one before."""
    for player in (ffmpeg, gstreamer):
        pace = 0.0
        for n in range(TRIES):
            file = tmp_path / f"{player.__name__}-{n}"
            stamps = await play(player(live.master, file), file)
            assert None not in stamps
            steps = [(two or 0) - (one or 0) for one, two in pairwise(stamps)]
            assert min(steps) >= 0
            pace = sum(steps) / len(steps)
            if pace == pytest.approx(1000 / glass.FPS, abs=4):
                break
        else:
            pytest.fail(f"{player.__name__}: a picture every {pace:.1f} ms, in the last of {TRIES} tries")
