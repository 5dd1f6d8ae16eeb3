"""Encoders that people use, on the real RTMP port: what they send arrives whole and can be decoded."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.backends import programs
from tests.encoders import FFMPEG, packets, picture_and_tone
from tests.rtmp_port import Port, listening
from tests.waits import eventually
from workers.media.flv import VIDEO
from workers.media.rtmp.limits import Limits

pytestmark = pytest.mark.media

PICTURE = ("videotestsrc", "num-buffers=90", "is-live=true", "!", "video/x-raw,width=320,height=180,framerate=30/1", "!")
SOUND = ("audiotestsrc", "num-buffers=129", "is-live=true", "!", "voaacenc", "bitrate=64000", "!", "mux.")


def gstreamer(url: str, group: int = 30) -> tuple[str, ...]:
    """Three seconds of pictures and sound over rtmp2sink, a keyframe every *group* pictures."""
    program = programs.gstreamer()
    assert program is not None, "there is no GStreamer; `sh scripts/gstreamer.sh` unpacks it"
    sink = ("flvmux", "name=mux", "streamable=true", "!", "rtmp2sink", f"location={url}")
    return (
        program,
        "-q",
        *sink,
        *PICTURE,
        "x264enc",
        "tune=zerolatency",
        f"key-int-max={group}",
        "bitrate=400",
        "!",
        "mux.",
        *SOUND,
    )


def ffmpeg(url: str, group: int = 30) -> tuple[str, ...]:
    """The same with FFmpeg, with B-frames."""
    return (FFMPEG, "-nostdin", "-v", "error", *picture_and_tone(3, group=group), "-bf", "2", "-f", "flv", url)


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
async def test_an_encoder_publishes(tmp_path: Path, encoder: Callable[..., tuple[str, ...]]) -> None:
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
async def test_an_encoder_reads_why_it_is_refused(encoder: Callable[..., tuple[str, ...]]) -> None:
    """Its own words have the reason."""
    async with listening(Limits()) as port:
        code, said = await ended(encoder(url(port, "wrong")))
        assert code != 0
        assert "Unknown stream key" in said


@ENCODERS
async def test_an_encoder_that_is_warned_goes_on(encoder: Callable[..., tuple[str, ...]]) -> None:
    """Advice in the middle of a broadcast is no error to it: all it has is published."""
    limits = msgspec.structs.replace(Limits(), keyframe_warn_s=0.5)
    async with listening(limits) as port:
        assert await ended(encoder(url(port, "good"), group=45)) == (0, "")
        await eventually(lambda: port.server.connections == 0)
        pictures = [tag for tag in port.stage.tags if tag.type == VIDEO and not tag.is_header]
        assert len(pictures) == 90
        assert [n for n, tag in enumerate(pictures) if tag.is_keyframe] == [0, 45]


@pytest.mark.parametrize(("codec", "name"), [("libvpx-vp9", "VP9")])
async def test_ffmpeg_reads_which_codec_is_not_taken(codec: str, name: str) -> None:
    """Enhanced RTMP is recognised as FFmpeg writes it."""
    async with listening(Limits()) as port:
        picture = ("-readrate", "1", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=10", "-t", "10")
        words = (FFMPEG, "-nostdin", "-v", "error", *picture, "-c:v", codec, "-f", "flv", url(port, "good"))
        code, said = await ended(words)
        assert code != 0
        assert name in said
        assert "set the encoder to H.264" in said
