"""Encoders that people use, on the real RTMP port: what they send arrives whole and can be decoded."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backends import programs
from tests.encoders import FFMPEG, packets, picture_and_tone
from tests.rtmp_port import Port, listening
from tests.waits import eventually
from workers.media.rtmp.limits import Limits

pytestmark = pytest.mark.media

PICTURE = ("videotestsrc", "num-buffers=90", "is-live=true", "!", "video/x-raw,width=320,height=180,framerate=30/1", "!")
SOUND = ("audiotestsrc", "num-buffers=129", "is-live=true", "!", "voaacenc", "bitrate=64000", "!", "mux.")


def gstreamer(url: str) -> tuple[str, ...]:
    """Three seconds of pictures and sound over rtmp2sink."""
    program = programs.gstreamer()
    assert program is not None, "there is no GStreamer; `sh scripts/gstreamer.sh` unpacks it"
    sink = ("flvmux", "name=mux", "streamable=true", "!", "rtmp2sink", f"location={url}")
    return (program, "-q", *sink, *PICTURE, "x264enc", "tune=zerolatency", "key-int-max=30", "bitrate=400", "!", "mux.", *SOUND)


def ffmpeg(url: str) -> tuple[str, ...]:
    """The same with FFmpeg, with B-frames."""
    return (FFMPEG, "-nostdin", "-v", "error", *picture_and_tone(3), "-bf", "2", "-f", "flv", url)


ENCODERS = pytest.mark.parametrize("encoder", [ffmpeg, gstreamer])


async def ended(command: tuple[str, ...]) -> tuple[int, str]:
    """Run an encoder to its end: exit code and what it said."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def url(port: Port, key: str) -> str:
    """Where an encoder is pointed."""
    return f"rtmp://127.0.0.1:{port.number}/live/{key}"


@ENCODERS
async def test_an_encoder_publishes(tmp_path: Path, encoder: Callable[[str], tuple[str, ...]]) -> None:
    """It ends without an error, and an independent decoder finds every picture and all sound in what arrived."""
    async with listening(Limits()) as port:
        assert await ended(encoder(url(port, "good"))) == (0, "")
        await eventually(lambda: port.server.connections == 0)
        file = tmp_path / "arrived.flv"
        file.write_bytes(b"FLV\x01\x05\0\0\0\x09" + bytes(4) + b"".join(tag.encode() for tag in port.stage.tags))
    pictures = await packets(file, kind="v", decode=True)
    sounds = await packets(file, kind="a", decode=True)
    assert len(pictures) == 90
    assert 2.8 < sounds[-1].start + sounds[-1].duration - sounds[0].start < 3.2


@ENCODERS
async def test_an_encoder_reads_why_it_is_refused(encoder: Callable[[str], tuple[str, ...]]) -> None:
    """Its own words have the reason."""
    async with listening(Limits()) as port:
        code, said = await ended(encoder(url(port, "wrong")))
        assert code != 0
        assert "Unknown stream key" in said
