"""Two workers and one recording: whoever is paused in the middle of finishing it is followed by the other."""

import os
import signal
import time
from pathlib import Path

import msgspec
import pytest

from infra.objects.folder import Folder
from schemas import subjects
from schemas.records import Broadcaster, StreamRecord
from schemas.streamid import new_stream_id
from tests import recorded
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker
from tests.encoders import FFMPEG
from tests.ports import free_port
from tests.processes import Process, killed_after
from tests.stopping import stop
from tests.waits import eventually

pytestmark = [pytest.mark.media, pytest.mark.nats]


def slow_ffmpeg(folder: Path) -> tuple[Path, Path, Path]:
    """An ffmpeg that makes an MP4 only once it may: the program, what tells that it has begun, what lets it go on."""
    program, begun, may = folder / "ffmpeg", folder / "begun", folder / "may"
    waits = f'case "$*" in *faststart*) touch {begun}; while [ ! -e {may} ]; do sleep 0.1; done;; esac'
    program.write_text(f'#!/bin/sh\n{waits}\nexec {FFMPEG} "$@"\n')
    program.chmod(0o755)
    return program, begun, may


class Room:
    """A stream that has ended, its recorded segments at home, and workers for it."""

    def __init__(self, b: Broker, nats_url: str, folder: Path) -> None:
        self.b = b
        self.folder = folder
        self.home = Folder(folder / "home")
        self.ended_ms = int(time.time() * 1000)
        self.stream_id = new_stream_id(self.ended_ms)
        self._shared = {"nats_url": nats_url, "media_url": f"file://{folder}/home", "ops_port": 0}

    def worker(self, name: str, ffmpeg: Path | str) -> Process:
        """A media worker with a folder of its own."""
        log, data = self.folder / f"{name}.log", self.folder / name
        return Process("worker", "media", log=log, data_dir=data, rtmp_port=free_port(), ffmpeg=ffmpeg, **self._shared)

    async def end(self) -> None:
        """Tell all that it has ended."""
        ended = StreamRecord(
            stream_id=self.stream_id,
            broadcaster=Broadcaster(id="ada", name="Ada"),
            title="A stream",
            key_sha256="",
            status="ended",
            video="ended",
            qualities=["180p"],
            created_at=self.ended_ms - 9000,
            ended_at=self.ended_ms,
        )
        await self.b.records.create(ended)

    async def record(self) -> StreamRecord:
        """As it is now."""
        found = await self.b.records.get(self.stream_id)
        assert found is not None
        return found[0]

    async def made(self) -> bool:
        """Whether the recording is told of. Until all of it is there, nobody has a playlist of half of it."""
        found = (await self.record()).recording is not None
        assert found <= ("recording/master.m3u8" in await recorded.names(self.home, self.stream_id))
        return found

    def files(self) -> dict[Path, tuple[int, int]]:
        """All that is at home: when each was written, and as which file."""
        there = [path for path in (self.folder / "home").rglob("*") if path.is_file()]
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in there}


async def test_a_worker_is_paused_while_it_finishes(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Its claim runs out, another makes the recording, viewers are told once; when it wakes it puts and says nothing."""
    program, begun, may = slow_ffmpeg(tmp_path)
    async with broker(own_nats_server.url) as b:
        at = Room(b, own_nats_server.url, tmp_path)
        film = await recorded.filmed(1)
        lasts_ms = await recorded.keep(at.home, "source", 7, film, at.ended_ms - 5000, at.stream_id)
        one, two = at.worker("one", program), at.worker("two", FFMPEG)
        with killed_after(one, two):
            await one.start().ready()
            await at.end()
            await eventually(begun.exists)
            stop(one.pid)
            await two.start().ready()
            await eventually(at.made, timeout=40)
            before, told = at.files(), await at.record()
            may.touch()
            os.kill(one.pid, signal.SIGCONT)
            await eventually(lambda: not list((tmp_path / "one" / "spool" / "media").glob("*/work/*")))
            one.signal(signal.SIGTERM)
            assert one.wait() == 0
        assert (at.files(), await at.record()) == (before, told)
        items = await b.reader.follow_from("LIVE_0", subjects.live(0, at.stream_id), 0)
        assert [msgspec.json.decode(item.payload)["type"] for item in items] == ["recording"]
        assert told.recording is not None
        assert (told.recording.duration_ms, told.recording.mp4) == (lasts_ms, True)
        recording = await recorded.brought(at.home, tmp_path / "copy", at.stream_id)
        assert await recorded.complaints(recording / "master.m3u8") == ""
        assert await recorded.pictures(recorded.only(recording, "recording-*.mp4")) == 30
    assert "recording ready" in two.text
    assert "recording ready" not in one.text
