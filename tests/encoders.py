"""Around the media worker: real ffmpeg encoders, a registry in memory, and an independent look at its files."""

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

import imageio_ffmpeg  # type: ignore[import-untyped]  # the wheel ships no types
import uvloop

from infra.errors import Unavailable
from infra.heights import Heights
from infra.objects.contract import ObjectStore
from infra.settings import Settings
from infra.telemetry.ops import OpsServer, Readiness
from schemas.records import Recorded
from tests.ports import free_port
from tests.waits import PATIENCE_S, eventually
from workers.media.ingest import run
from workers.media.journal import Journal
from workers.media.origin import PREFIX
from workers.media.streams import Authorised, KeyRefused, StreamChanged, VideoState

FFMPEG: str = imageio_ffmpeg.get_ffmpeg_exe()
STREAM = "018bcfe5-6800-7bb6-bc13-d949c5118ce2"
KEY = f"{STREAM}_correct-horse"
PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=30")
TONE = ("-f", "lavfi", "-i", "sine=440:r=48000")
SILENCE = ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "30", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-b:a", "64k")


class MemoryRegistry:
    """A `BroadcastRegistry` in memory: one stream, whose key can be changed and which can end."""

    def __init__(self) -> None:
        self.keys = {STREAM: KEY}
        self.ended: set[str] = set()
        self.states: list[tuple[VideoState, tuple[str, ...]]] = []
        self.recordings: list[tuple[str, Recorded | None]] = []
        self.pictures: set[str] = set()
        self.away = False
        self._changes: asyncio.Queue[StreamChanged] = asyncio.Queue()

    def digest(self, stream_id: str) -> str:
        """What a record keeps of the key."""
        return hashlib.sha256(self.keys[stream_id].encode()).hexdigest()

    def rotate(self, stream_id: str, key: str) -> None:
        """Give the stream another key."""
        self.keys[stream_id] = key
        self._changes.put_nowait(StreamChanged(stream_id, self.digest(stream_id), ended=False))

    def end(self, stream_id: str, *, deleted: bool = False) -> None:
        """End the stream."""
        self.ended.add(stream_id)
        self._changes.put_nowait(StreamChanged(stream_id, self.digest(stream_id), ended=True, deleted=deleted))

    async def authorise(self, key: str) -> Authorised:
        """As the contract says."""
        if self.away:
            msg = "the registry is away"
            raise Unavailable(msg)
        stream_id = key.partition("_")[0]
        if self.keys.get(stream_id) != key:
            msg = "Unknown stream key."
            raise KeyRefused(msg)
        if stream_id in self.ended:
            msg = "The stream has ended."
            raise KeyRefused(msg)
        return Authorised(stream_id, self.digest(stream_id))

    async def video(self, stream_id: str, state: VideoState, qualities: Sequence[str]) -> None:
        """Keep what was told."""
        if self.away:
            msg = "the registry is away"
            raise Unavailable(msg)
        assert stream_id in self.keys
        self.states.append((state, tuple(qualities)))

    async def recorded(self, stream_id: str, recorded: Recorded | None) -> None:
        """Keep what was told."""
        if self.away:
            msg = "the registry is away"
            raise Unavailable(msg)
        self.recordings.append((stream_id, recorded))

    async def pictured(self, stream_id: str) -> None:
        """Keep what was told."""
        self.pictures.add(stream_id)

    async def live(self) -> Sequence[str]:
        """The stream, when it was last told to be live."""
        return [STREAM] if self.states and self.states[-1][0] == "live" else []

    async def watch(self) -> AsyncGenerator[StreamChanged, None]:
        """Each change, for ever."""
        while True:
            yield await self._changes.get()


class Encoder:
    """An ffmpeg that publishes over RTMP."""

    def __init__(self, process: Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, url: str, *arguments: str) -> "Encoder":
        """Publish to *url* what *arguments* (inputs and codecs) make."""
        command = (FFMPEG, "-nostdin", "-hide_banner", "-loglevel", "error", *arguments, "-f", "flv", url)
        return cls(await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stderr=PIPE))

    async def finished(self, seconds: float = PATIENCE_S) -> tuple[int, str]:
        """Wait for its end: exit code and what it complained of."""
        async with asyncio.timeout(seconds):
            _, stderr = await self.process.communicate()
        return self.process.returncode or 0, stderr.decode()

    def kill(self) -> None:
        """As a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


def picture_and_tone(seconds: float, *, speed: float = 1.0, group: int = 30) -> tuple[str, ...]:
    """The usual broadcast of so many seconds, *speed* times as fast as real, a keyframe every *group* pictures."""
    rate = ("-readrate", str(speed))
    return (*rate, *PICTURE, *rate, *TONE, "-t", str(seconds), *H264, "-g", str(group), *AAC)


#: No transcoded renditions.
NO_RUNGS = Heights(())


class Studio:
    """A running media worker with its registry, its internal port, and its encoders."""

    def __init__(self, root: Path, port: int, registry: MemoryRegistry, ops: str = "") -> None:
        self.root = root
        self.port = port
        self.registry = registry
        self.origin = f"{ops}/origin/{STREAM}"
        self.encoders: list[Encoder] = []

    async def push(self, *arguments: str, key: str = KEY, host: str = "127.0.0.1", app: str = "live") -> Encoder:
        """Start an encoder."""
        encoder = await Encoder.start(f"rtmp://{host}:{self.port}/{app}/{key}", *arguments)
        self.encoders.append(encoder)
        return encoder

    def file(self, *parts: str) -> Path:
        """A file of the stream."""
        return self.root.joinpath(STREAM, *parts)

    def read(self, *parts: str) -> bytes:
        """A file of the stream; nothing when it does not exist."""
        path = self.file(*parts)
        return path.read_bytes() if path.exists() else b""

    async def state(self, wanted: VideoState, *, since: int = 0, timeout: float = PATIENCE_S) -> None:
        """Wait until the record was told *wanted*, later than its first *since* states."""
        await eventually(lambda: any(state == wanted for state, _ in self.registry.states[since:]), timeout=timeout)

    async def segments(self, count: int, rendition: str = "source", timeout: float = PATIENCE_S) -> None:
        """Wait until a playlist lists at least *count* segments."""
        await eventually(lambda: self.read(rendition, "index.m3u8").count(b"#EXTINF") >= count, timeout=timeout)

    def ffmpegs(self) -> list[int]:
        """The worker's own ffmpegs."""
        return transcoders()


def transcoders() -> list[int]:
    """The ffmpegs that media workers in this process started."""
    return [pid for pid, words in _commands().items() if b"pipe:0" in words and _parent(pid) == os.getpid()]


def _commands() -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().split(b"\0")
    return found


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


@contextlib.asynccontextmanager
async def studio(
    root: Path,
    registry: MemoryRegistry | None = None,
    journal: Journal | None = None,
    home: ObjectStore | None = None,
    **settings: object,
) -> AsyncIterator[Studio]:
    """Run the media worker on a free port with its files under *root*; it records to *home* if given, and drains at the end."""
    port = free_port()
    chosen = Settings(rtmp_port=port, media_url=f"file://{root}", **settings)  # type: ignore[arg-type]  # tests name them right
    stopping, ready = asyncio.Event(), asyncio.Event()
    ops = OpsServer(Readiness(), "127.0.0.1", 0)
    await ops.start()
    made = Studio(root, port, registry or MemoryRegistry(), ops.url)
    serving = lambda origin: ops.mount(PREFIX, origin.answer)  # noqa: E731 - one line of wiring
    worker = asyncio.create_task(run(chosen, made.registry, stopping, ready.set, journal=journal, serve=serving, home=home))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([worker, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if worker.done():
        await ops.stop()
        await worker
    try:
        yield made
    finally:
        for encoder in made.encoders:
            encoder.kill()
            await encoder.process.wait()
        stopping.set()
        await worker
        await ops.stop()


class Packet:
    """One packet as ffmpeg reads it: seconds, and whether it is a keyframe."""

    def __init__(self, line: str, base: float) -> None:
        words = [word.strip() for word in line.split(",")]
        self.start = int(words[2]) * base
        self.duration = int(words[3]) * base
        self.key = not any(word.startswith("F=0x0") for word in words)


async def packets(*parts: Path, kind: str, decode: bool = False) -> list[Packet]:
    """What ffmpeg finds of *kind* (`v` or `a`) in the joined *parts*, an initialisation segment first."""
    data = b"".join(part.read_bytes() for part in parts)
    codec = () if decode else ("-c", "copy", "-copyinkf")
    command = (FFMPEG, "-nostdin", "-v", "error", "-xerror", "-copyts", "-i", "pipe:0", "-map", f"0:{kind}")
    process = await asyncio.create_subprocess_exec(
        *command, *codec, "-f", "framecrc", "-", stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    out, errors = await process.communicate(data)
    assert process.returncode == 0, errors.decode()
    lines = out.decode().splitlines()
    above, below = next(line for line in lines if line.startswith("#tb 0:")).partition(":")[2].split("/")
    return [Packet(line, int(above) / int(below)) for line in lines if not line.startswith("#")]


async def serve(root: Path, port: int) -> None:
    """Be a media worker in a process of its own, for tests that kill it."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    settings = Settings(rtmp_port=port, media_url=f"file://{root}")
    await run(settings, MemoryRegistry(), stopping, lambda: print("ready", flush=True))  # noqa: T201 - told to the parent


if __name__ == "__main__":
    # As `ovation worker media` does: processes are started by another library there.
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
