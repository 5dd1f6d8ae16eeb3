"""A broadcast that costs next to nothing: a minute with a burnt-in clock is encoded once, then sent over and over at real pace.

The clock says milliseconds since the reel's beginning (as `tests.glass` writes them). A `Take` knows when it sent its first
picture, so that what is read off any picture tells when that one was sent, give or take a multiple of the reel's length.
"""

import asyncio
import contextlib
import subprocess
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests import glass
from tests.encoders import AAC, FFMPEG, H264, TONE
from workers.media.flv import AUDIO, VIDEO, Tag
from workers.media.flvreader import FlvReader

#: Whole pictures (1,920) and whole AAC frames (3,000): the end leads on to the beginning.
SECONDS = 64
FPS = glass.FPS
LENGTH_MS = SECONDS * 1000
_FILE_HEAD = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"


def clock(picture: int) -> int:
    """What is burnt into picture number *picture* of a reel."""
    return picture * 1000 // FPS


class Reel:
    """Encoded once; its tags begin with what describes it."""

    def __init__(self, flv: bytes) -> None:
        tags = list(FlvReader().feed(flv))
        # 1 is coded media; 0 describes it, and 2 says that no more pictures come.
        media = [tag for tag in tags if tag.type in (AUDIO, VIDEO) and tag.payload[1] == 1]
        self.head = [tag for tag in tags if tag.type not in (AUDIO, VIDEO) or tag.payload[1] == 0]
        #: When the picture with clock 0 is sent, after a take's beginning.
        self.lead_ms = next(tag.timestamp for tag in media if tag.type == VIDEO)
        sounds = [tag for tag in media if tag.type == AUDIO][: SECONDS * 48_000 // 1024]
        pictures = [tag for tag in media if tag.type == VIDEO]
        if len(pictures) != SECONDS * FPS:
            msg = f"{len(pictures)} pictures were filmed, not {SECONDS * FPS}"
            raise ValueError(msg)
        self.media = sorted([*sounds, *pictures], key=lambda tag: tag.timestamp)

    def tags(self) -> Iterator[Tag]:
        """All media, for ever."""
        offset = 0
        while True:
            for tag in self.media:
                yield Tag(tag.type, tag.timestamp + offset, tag.payload)
            offset += LENGTH_MS


def film(path: Path, *, width: int = 1280, height: int = 720, rate: str = "1500k") -> Reel:
    """Encode one: some 20 s of a core at 1280x720. *path* is where the FLV goes."""
    command = [
        *(FFMPEG, "-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p"),
        *("-s", f"{width}x{height}", "-r", str(FPS), "-i", "pipe:0", *TONE, "-map", "0:v", "-map", "1:a"),
        *(*H264, "-keyint_min", "30", "-sc_threshold", "0", "-threads", "1", "-b:v", rate, "-maxrate", rate, "-bufsize", rate),
        *(*AAC, "-t", str(SECONDS), "-flvflags", "no_duration_filesize", "-f", "flv", str(path)),
    ]
    pictures = glass.backgrounds(width, height)
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        if process.stdin is None:
            raise OSError
        for n in range(SECONDS * FPS):
            picture = pictures[n % len(pictures)]
            picture[: width * glass.ROWS] = glass.row(clock(n), width) * glass.ROWS
            process.stdin.write(picture)
    return Reel(path.read_bytes())


class Take:
    """One encoder's connection: it sends the reel from its beginning, at real pace, until it is killed."""

    def __init__(self, reel: Reel, process: Process) -> None:
        self.reel = reel
        self.process = process
        #: Wall time of its beginning; when the picture with clock 0 was sent, in ms since the epoch.
        self.began = time.time()
        self.zero_ms = round(self.began * 1000) + reel.lead_ms
        #: Pictures that were sent, and the most that one was late by.
        self.pictures = 0
        self.late_s = 0.0

    @property
    def seconds(self) -> float:
        """What was sent of it."""
        return self.pictures / FPS

    def sent_ms(self, shown: int, near_ms: int) -> int:
        """When the picture was sent whose clock says *shown*: of those that say so, the one nearest to *near_ms*."""
        apart = (self.zero_ms + shown - near_ms + LENGTH_MS // 2) % LENGTH_MS - LENGTH_MS // 2
        return near_ms + apart

    async def send(self) -> None:
        """Send until nobody takes it."""
        out = self.process.stdin
        if out is None:
            return
        out.write(_FILE_HEAD + b"".join(tag.encode() for tag in self.reel.head))
        with contextlib.suppress(ConnectionError):
            for tag in self.reel.tags():
                late = time.time() - self.began - tag.timestamp / 1000
                if late < 0:
                    await asyncio.sleep(-late)
                self.late_s = max(self.late_s, late)
                out.write(tag.encode())
                await out.drain()
                self.pictures += tag.type == VIDEO


@asynccontextmanager
async def take(reel: Reel, url: str) -> AsyncIterator[Take]:
    """Publish *reel* to *url* with an ffmpeg that encodes nothing; killed at the end, with what it had not sent yet."""
    # It counts pictures for 1.3 s to know their rate otherwise, and sends what it kept back in one burst.
    read = ("-fpsprobesize", "0", "-f", "flv", "-i", "pipe:0")
    sent = ("-map", "0", "-c", "copy", "-flush_packets", "1", "-flvflags", "no_duration_filesize", "-f", "flv", url)
    process = await asyncio.create_subprocess_exec(
        *(FFMPEG, "-hide_banner", "-loglevel", "error", *read, *sent),
        stdin=PIPE,
        stderr=DEVNULL,
    )
    made = Take(reel, process)
    sending = asyncio.create_task(made.send())
    try:
        yield made
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def clocks(media: Path | bytes, width: int) -> tuple[list[int], str]:
    """Decode every picture: what each one's clock says (-1 where it cannot be read), and what ffmpeg complained of."""
    bits = f"crop={width}:2:0:{glass.ROWS // 2},scale={glass.BLOCKS}:1:flags=area,format=gray"
    source = str(media) if isinstance(media, Path) else "pipe:0"
    process = await asyncio.create_subprocess_exec(
        *(FFMPEG, "-hide_banner", "-v", "error", "-threads", "1", "-i", source, "-map", "0:v", "-vf", bits),
        *("-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"),
        *(("-map", "0:a", "-f", "null", "-")),
        stdin=PIPE if isinstance(media, bytes) else DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, errors = await process.communicate(media if isinstance(media, bytes) else None)
    rows = [out[at : at + glass.BLOCKS] for at in range(0, len(out), glass.BLOCKS)]
    return [_read(row) for row in rows], errors.decode("utf-8", "replace") or ("" if not process.returncode else "failed")


def _read(row: Sequence[int]) -> int:
    bits = [int(each > 127) for each in row]
    stamp = sum(bit << (31 - n) for n, bit in enumerate(bits[:32]))
    return stamp if bits == glass.bits(stamp) else -1
