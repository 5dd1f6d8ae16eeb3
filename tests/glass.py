"""From glass to glass: a source that burns the wall clock into its pictures, and what reads it off a `<video>`.

    echo | python -m tests.glass --width 1280 --height 720 > /dev/null   raw pictures (yuv420p), 30 a second, at real pace

The top 32 rows of each picture are 40 blocks: 32 bits of milliseconds since the epoch and an 8-bit checksum, burnt in when the
picture is made. What is read includes encoding, RTMP, packaging, HTTP, the player's buffer and decoding.
"""

import argparse
import asyncio
import contextlib
import os
import random
import sys
import threading
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from playwright.async_api import Page

from tests.encoders import FFMPEG, Encoder

BLOCKS = 40
ROWS = 32
FPS = 30
#: Reads the clock five times a second, and counts how often playback stood still, for `window.glass` until it is replaced.
READ = """(selector) => {
  const video = document.querySelector(selector);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [40, 1];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const glass = { samples: [], bad: 0, stalls: [], frozenMs: 0, began: Date.now() };
  window.glass = glass;
  let lastTime = -1, still = 0;
  const look = () => {
    if (window.glass !== glass) return;
    if (video.readyState >= 2 && video.videoWidth) {
      const block = video.videoWidth / 40;
      for (let n = 0; n < 40; n += 1) pen.drawImage(video, n * block + block / 2, 8, 2, 2, n, 0, 1, 1);
      const pixels = pen.getImageData(0, 0, 40, 1).data;
      let stamp = 0, sum = 0, check = 0;
      for (let n = 0; n < 40; n += 1) {
        const bit = pixels[4 * n] > 127 ? 1 : 0;
        if (n < 32) { stamp = stamp * 2 + bit; sum = (sum + bit * (n + 1)) % 256; } else check = check * 2 + bit;
      }
      const late = ((Date.now() % 4294967296) - stamp + 4294967296) % 4294967296;
      if (sum === check && late < 120000) glass.samples.push([Date.now() - glass.began, late]);
      else glass.bad += 1;
    }
    if (video.currentTime === lastTime && lastTime > 0) {
      still += 1;
      glass.frozenMs += 200;
      if (still === 2) glass.stalls.push(Date.now() - glass.began);
    } else still = 0;
    lastTime = video.currentTime;
  };
  const timer = setInterval(() => { look(); if (window.glass !== glass) clearInterval(timer); }, 200);
}"""


def bits(ms: int) -> list[int]:
    """The blocks of a moment."""
    stamp = [(ms >> (31 - n)) & 1 for n in range(32)]
    total = sum((n + 1) * bit for n, bit in enumerate(stamp)) % 256
    return stamp + [(total >> (7 - n)) & 1 for n in range(8)]


def row(ms: int, width: int) -> bytes:
    """A row of luma."""
    block = width // BLOCKS
    return b"".join((b"\xeb" if bit else b"\x10") * block for bit in bits(ms))


def backgrounds(width: int, height: int, count: int = 16) -> list[bytearray]:
    """Pictures whose content moves and costs an encoder something: noise under a gradient, shifted from one to the next."""
    noise = random.Random(1).randbytes(width * 4)
    made = []
    for n in range(count):
        luma = bytearray()
        for y in range(height):
            at = (y * 13 + n * 32) % (width * 3)
            luma += bytes(64 + (y * 128) // height + (noise[at + (x & ~7)] >> 3) for x in range(width)) if y % 8 == 0 else b""
            luma += luma[-width:] if y % 8 else b""
        made.append(luma + bytearray(b"\x80") * (width * height // 2))
    return made


def generate(width: int, height: int) -> None:
    """Prepare, wait for a line on stdin, and write pictures to stdout at their pace, until nobody reads."""
    pictures = backgrounds(width, height)
    sys.stdin.readline()
    begins, n, pause = time.monotonic(), 0, threading.Event()
    with contextlib.suppress(BrokenPipeError):
        while True:
            due = begins + n / FPS
            pause.wait(max(0.0, due - time.monotonic()))
            picture = pictures[n % len(pictures)]
            picture[: width * ROWS] = row(int(time.time() * 1000) & 0xFFFFFFFF, width) * ROWS
            view = memoryview(picture)
            while view:
                view = view[os.write(1, view) :]
            n += 1


class Camera(NamedTuple):
    """What makes the pictures: a process that waits for a line, and the pipe they come out of."""

    process: Process
    pictures: int


@asynccontextmanager
async def camera(width: int = 640, height: int = 360) -> AsyncIterator[Camera]:
    """A camera that is not running yet; it takes up to a second to prepare its pictures, which is no part of any encoder."""
    ours, theirs = os.pipe()
    command = (sys.executable, "-m", "tests.glass", "--width", str(width), "--height", str(height))
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=theirs)
    os.close(theirs)
    try:
        yield Camera(process, ours)
    finally:
        os.close(ours)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # communicate() and not wait(): the pipe to it has to be closed, too.
        await process.communicate()


@asynccontextmanager
async def source(
    url: str, *, width: int = 640, height: int = 360, group: int = FPS, rate: str = "1M", by: Camera | None = None
) -> AsyncIterator[Encoder]:
    """An encoder that publishes the clock to *url*, a keyframe every *group* pictures; killed at the end.

    *by* is a camera of that size which nobody has used; without one it begins with making one.
    """
    if by is None:
        async with (
            camera(width, height) as made,
            source(url, width=width, height=height, group=group, rate=rate, by=made) as it,
        ):
            yield it
        return
    arguments = [
        *("-fflags", "nobuffer", "-probesize", "32", "-f", "rawvideo", "-pix_fmt", "yuv420p"),
        *("-s", f"{width}x{height}", "-r", str(FPS), "-thread_queue_size", "4", "-i", "pipe:0"),
        *("-re", "-f", "lavfi", "-i", "sine=440:r=48000"),
        *("-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"),
        *("-threads", "1", "-g", str(group), "-keyint_min", str(group), "-sc_threshold", "0"),
        *("-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k"),
    ]
    process = await asyncio.create_subprocess_exec(
        *(FFMPEG, "-hide_banner", "-loglevel", "error", *arguments, "-flvflags", "no_duration_filesize", "-f", "flv", url),
        stdin=by.pictures,
        stderr=PIPE,
    )
    assert by.process.stdin is not None
    by.process.stdin.write(b"\n")
    try:
        yield Encoder(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Reading:
    """What was read: latencies in ms, in order."""

    def __init__(self, glass: dict[str, object], skip_s: float) -> None:
        samples: Sequence[Sequence[int]] = glass["samples"]  # type: ignore[assignment]  # as READ makes it
        self.samples = [late for at, late in samples if at >= skip_s * 1000]
        stalls: Sequence[int] = glass["stalls"]  # type: ignore[assignment]  # as above
        self.stalls = sum(at >= skip_s * 1000 for at in stalls)
        self.early_stalls = len(stalls) - self.stalls
        self.frozen_s = int(str(glass["frozenMs"])) / 1000
        self.bad = int(str(glass["bad"]))

    def at(self, share: float) -> float:
        """A percentile, in seconds."""
        ordered = sorted(self.samples)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1000 if ordered else float("inf")


async def read(page: Page, seconds: float, *, selector: str = "video", skip_s: float = 0.0) -> Reading:
    """Read the clock off a page's video for so long; the first *skip_s* do not count."""
    await page.evaluate(READ, selector)
    done = "seconds => Date.now() - window.glass.began >= seconds * 1000"
    await page.wait_for_function(done, arg=seconds, timeout=(seconds + 30) * 1000)
    glass: dict[str, object] = await page.evaluate("() => window.glass")
    return Reading(glass, skip_s)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    options = parser.parse_args()
    generate(options.width, options.height)


if __name__ == "__main__":
    main()
