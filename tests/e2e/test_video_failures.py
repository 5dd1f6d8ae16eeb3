"""What goes wrong around a broadcast: encoders and ffmpegs that die, a worker that is killed, a disk that is full."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.disks import small_disk
from tests.encoders import Encoder, Studio, picture_and_tone, serve, studio
from tests.hls import multivariant, playlist, rules
from tests.ports import free_port
from tests.rtmp import Publisher
from tests.stopping import stop
from tests.waits import eventually
from workers.media.rtmp.limits import Limits

pytestmark = pytest.mark.media

#: The promise is 2 s, where other tests do not have the cores; a silence alone is noticed after 10.
TOLD_S = 8.0
MOST_GAPS = 3


def newest(video: Studio, name: str = "source") -> int:
    """The media sequence number of the newest segment; -1 when there is none."""
    raw = video.read(name, "index.m3u8")
    return playlist.read(raw).segments[-1].msn if raw else -1


def discontinuities(video: Studio, name: str = "source") -> int:
    """The discontinuity number of the newest segment."""
    return playlist.read(video.read(name, "index.m3u8")).segments[-1].discontinuity


async def goes_on(video: Studio, name: str, before: bytes, more: int = 2) -> None:
    """Wait until *name* has *more* segments than *before*; the playlist it was and the one it is keep the rules together."""
    last = playlist.read(before).segments[-1].msn
    await eventually(lambda: newest(video, name) >= last + more)
    after = video.read(name, "index.m3u8")
    assert rules.check_media(after) == []
    assert rules.check_update(before, after) == []


async def test_an_encoder_that_is_killed_and_returns(tmp_path: Path) -> None:
    """Viewers are told at once; when it returns the same playlists go on over a discontinuity, dates included."""
    async with studio(tmp_path) as video:
        encoder = await video.push(*picture_and_tone(60))
        await video.segments(3, "144p")
        began = time.monotonic()
        encoder.kill()
        await video.state("interrupted")
        assert time.monotonic() - began < TOLD_S
        await eventually(lambda: not video.ffmpegs())
        before = {name: video.read(name, "index.m3u8") for name in ("source", "144p")}
        since = len(video.registry.states)
        await video.push(*picture_and_tone(60))
        await video.state("live", since=since)
        for name, raw in before.items():
            await goes_on(video, name, raw)
            assert discontinuities(video, name) == 1
        assert rules.check_variants([video.read(name, "index.m3u8") for name in before]) == []


async def test_the_transcoder_is_killed(tmp_path: Path) -> None:
    """The passthrough notices nothing; the transcode lacks the group of pictures that was being made, and goes on."""
    async with studio(tmp_path) as video:
        await video.push(*picture_and_tone(60))
        await video.segments(3, "144p")
        before = {name: video.read(name, "index.m3u8") for name in ("source", "144p")}
        # In the first half of a group: what dies within the last moments of one takes the next with it.
        last = newest(video)
        await eventually(lambda: newest(video) > last)
        os.kill(video.ffmpegs()[0], signal.SIGKILL)
        for name, raw in before.items():
            await goes_on(video, name, raw, more=5)
            assert discontinuities(video, name) == 0
        source, small = (playlist.read(video.read(name, "index.m3u8")) for name in before)
        assert not any(each.gap for each in source.segments)
        gaps = [each.msn for each in small.segments if each.gap]
        # More than the one only where the next ffmpeg took longer than a group to start.
        assert gaps == list(range(gaps[0], gaps[0] + len(gaps)))
        assert len(gaps) <= MOST_GAPS
        assert small.segments[-1].msn not in gaps
        dates = {each.msn: each.date for each in source.segments}
        assert all(dates.get(each.msn, each.date) == each.date for each in small.segments)
        for each in small.segments:
            assert video.file("144p", each.uri).exists() != each.gap
    assert {state for state, _ in video.registry.states} == {"live", "interrupted"}


async def test_a_transcoder_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a bounded number of tries the stream is passed through only, and no player is told of the other quality."""
    monkeypatch.setattr("workers.media.transcoding.ATTEMPTS", 2)
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho no such encoder >&2; exit 1\n")
    broken.chmod(0o755)
    async with studio(tmp_path / "media", ffmpeg=str(broken)) as video:
        await video.push(*picture_and_tone(60))
        await video.segments(5)
        await eventually(lambda: list(multivariant.read(video.read("master.m3u8"))) == ["source/index.m3u8"])
        assert rules.check_media(video.read("source", "index.m3u8")) == []
        assert {qualities for _, qualities in video.registry.states} == {("180p",)}


async def test_a_transcoder_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quality that this machine is too slow for is withdrawn, and players are told of the passthrough alone."""
    async with studio(tmp_path) as video:
        await video.push(*picture_and_tone(60))
        await video.segments(2, "144p")
        monkeypatch.setattr("workers.media.transcoding.BEHIND_MS", 500)
        monkeypatch.setattr("workers.media.transcoding.BEHIND_S", 0.5)
        stop(video.ffmpegs()[0])
        await eventually(lambda: not video.read("144p", "index.m3u8"))
        assert list(multivariant.read(video.read("master.m3u8"))) == ["source/index.m3u8"]
        assert video.registry.states[-1] == ("live", ("180p",))


async def test_no_ffmpeg_at_all(tmp_path: Path) -> None:
    """The passthrough needs none."""
    async with studio(tmp_path, ffmpeg=str(tmp_path / "missing")) as video:
        await video.push(*picture_and_tone(60))
        await video.segments(3)
        assert video.registry.states == [("live", ("180p",))]


async def test_a_full_disk(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The publisher is closed, the log says why, the worker lives, and with room again the next publisher is taken."""
    with small_disk(tmp_path / "media", "600k"):
        async with studio(tmp_path / "media") as video:
            encoder = await video.push(*picture_and_tone(60))
            code, _ = await encoder.finished()
            assert code != 0
            await video.state("interrupted")
            assert "cannot be written" in capfd.readouterr().out
            assert rules.check_media(video.read("source", "index.m3u8")) == []
            for path in video.file().glob("*/*.m4s"):
                path.unlink()
            since = len(video.registry.states)
            await video.push(*picture_and_tone(60))
            await video.state("live", since=since)


@asynccontextmanager
async def worker_process(root: Path, port: int) -> AsyncIterator["asyncio.subprocess.Process"]:
    """A media worker in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.encoders", str(root), str(port), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    while (line := await process.stdout.readline()) != b"ready\n":
        assert line, "the worker did not start"
    draining = asyncio.create_task(process.stdout.read())
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await draining


def children(pid: int) -> list[int]:
    """The processes started by *pid*."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(each) for each in task.read_text().split()]
    return found


async def test_a_worker_that_is_killed(tmp_path: Path) -> None:
    """No ffmpeg survives it; the next worker goes on with the playlists: higher numbers, a discontinuity."""
    port = free_port()
    video = Studio(tmp_path, port, registry=None)  # type: ignore[arg-type]  # the registry is in the other process
    encoders: list[Encoder] = []
    async with worker_process(tmp_path, port) as worker:
        encoders.append(await video.push(*picture_and_tone(60)))
        await video.segments(3, "144p")
        ffmpegs = children(worker.pid)
        assert len(ffmpegs) == 1
        # One that hangs does not notice that its input ended.
        stop(ffmpegs[0])
        worker.kill()
        await worker.wait()
        await eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in ffmpegs))
    assert (await encoders[0].finished())[0] != 0
    before = {name: video.read(name, "index.m3u8") for name in ("source", "144p")}
    files = {path: path.read_bytes() for path in video.file().glob("*/*-*")}
    async with worker_process(tmp_path, port) as worker:
        await video.push(*picture_and_tone(60))
        for name, raw in before.items():
            await goes_on(video, name, raw)
        worker.terminate()
        assert await worker.wait() == 0
    assert [path for path, raw in files.items() if path.exists() and path.read_bytes() != raw] == []
    for name in before:
        assert discontinuities(video, name) == 1
        assert b"ENDLIST" not in video.read(name, "index.m3u8")
    for encoder in video.encoders:
        encoder.kill()
        await encoder.process.wait()


async def test_streams_left_live_by_a_dead_worker_are_called_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that starts looks whose encoders came back, and tells of those that did not."""
    monkeypatch.setattr("workers.media.broadcasts.RETURN_S", 0.2)
    async with studio(tmp_path) as video:
        video.registry.states.append(("live", ("720p",)))
        await video.state("interrupted", since=1)
        assert [state for state, _ in video.registry.states] == ["live", "interrupted"]


async def test_a_publisher_that_falls_silent_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop that was closed in mid-stream: its socket stays open, the video is called interrupted all the same."""
    monkeypatch.setattr("workers.media.rtmp.limits.Limits.of", lambda _: Limits(silence_s=2.0))
    async with studio(tmp_path) as video:
        encoder = await video.push(*picture_and_tone(60))
        await video.state("live")
        stop(encoder.process.pid)
        await video.state("interrupted")
        assert encoder.process.returncode is None


async def test_one_connection_too_many(tmp_path: Path) -> None:
    """Past the cap a connection is closed at once; those that are there go on."""
    async with studio(tmp_path, max_publishers=1) as video:
        encoder = await video.push(*picture_and_tone(60))
        await video.state("live")
        publisher = await Publisher.connect("127.0.0.1", video.port)
        async with asyncio.timeout(TOLD_S):
            await publisher.finish()
        assert encoder.process.returncode is None


async def test_addresses_this_machine_does_not_have(tmp_path: Path) -> None:
    """One of several may be missing (IPv6 switched off); all of them, or a taken port, stop the start."""
    async with studio(tmp_path, rtmp_host="2001:db8::1,127.0.0.1") as video:
        encoder = await video.push(*picture_and_tone(1, speed=4))
        assert (await encoder.finished())[0] == 0
        with pytest.raises(OSError, match="in use"):
            await serve(tmp_path, video.port)
    with pytest.raises(OSError, match="address"):
        async with studio(tmp_path, rtmp_host="2001:db8::1"):
            pass


async def test_another_codec_is_refused_with_advice(tmp_path: Path) -> None:
    """Sound that is not AAC ends the broadcast with what to set, not with silence."""
    async with studio(tmp_path) as video:
        arguments = list(picture_and_tone(10))
        arguments[arguments.index("aac")] = "libmp3lame"
        encoder = await video.push(*arguments)
        code, complaint = await encoder.finished()
        assert code != 0
        assert complaint
        assert video.registry.states == []
