"""Who may publish: wrong, rotated and ended keys are refused by name before any media is read, and fast."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.encoders import KEY, STREAM, Studio, picture_and_tone, studio
from tests.rtmp import Publisher
from tests.waits import eventually

pytestmark = pytest.mark.media
OTHER = f"{STREAM}_another-horse"
#: The promise is 2 s from the start of FFmpeg, on cores that nobody else has; a broadcast that is taken lasts 10.
SOON_S = 8.0


async def refused(video: Studio, key: str) -> str:
    """Publish with *key*, expect to be refused at once, and return what the encoder says."""
    began = time.monotonic()
    encoder = await video.push(*picture_and_tone(10), key=key)
    code, complaint = await encoder.finished()
    assert code != 0
    assert time.monotonic() - began < SOON_S
    return complaint


async def test_a_wrong_key_is_refused(tmp_path: Path) -> None:
    """Nothing is written, and the broadcaster reads why."""
    async with studio(tmp_path) as video:
        assert "Unknown stream key" in await refused(video, OTHER)
        assert "Unknown stream key" in await refused(video, "no-key-at-all")
        assert not video.file().exists()
    assert video.registry.states == []


async def test_a_refusal_is_bad_name_and_comes_before_any_media(tmp_path: Path) -> None:
    """On the wire: `onStatus`, level error, code NetStream.Publish.BadName, then the end; no media was sent."""
    async with studio(tmp_path) as video:
        publisher = await Publisher.connect("127.0.0.1", video.port)
        status = await publisher.publish(OTHER)
        assert status["level"] == "error"
        assert status["code"] == "NetStream.Publish.BadName"
        assert status["description"]
        await publisher.finish()


async def test_a_rotated_key_stops_at_once(tmp_path: Path) -> None:
    """The publisher with the old key is cut, cannot return, and the new key takes its place."""
    async with studio(tmp_path) as video:
        encoder = await video.push(*picture_and_tone(30))
        await video.state("live")
        began = time.monotonic()
        video.registry.rotate(STREAM, OTHER)
        code, complaint = await encoder.finished()
        assert code != 0
        assert time.monotonic() - began < SOON_S
        assert complaint
        await video.state("interrupted")
        assert "Unknown stream key" in await refused(video, KEY)
        since = len(video.registry.states)
        await video.push(*picture_and_tone(30), key=OTHER)
        await video.state("live", since=since)


async def test_an_ended_stream_takes_no_video(tmp_path: Path) -> None:
    """Its key is refused with a reason; a deleted stream's files are gone."""
    async with studio(tmp_path) as video:
        encoder = await video.push(*picture_and_tone(30))
        await video.segments(2)
        video.registry.end(STREAM, deleted=True)
        assert (await encoder.finished())[0] != 0
        assert "ended" in await refused(video, KEY)
        await eventually(lambda: not video.file().exists())


async def test_a_key_that_cannot_be_checked_is_not_let_in(tmp_path: Path) -> None:
    """While the records are away nobody is let in, and is told to try again; states are written once they are back."""
    async with studio(tmp_path) as video:
        video.registry.away = True
        assert "try again" in await refused(video, KEY)
        video.registry.away = False
        await video.push(*picture_and_tone(30))
        await eventually(lambda: bool(video.ffmpegs()))
        video.registry.away = True
        await video.segments(1)
        assert video.registry.states == []
        video.registry.away = False
        await video.state("live")


async def test_the_newest_publisher_wins(tmp_path: Path) -> None:
    """A second encoder with the right key replaces the first at once; the playlist goes on, over one discontinuity."""
    async with studio(tmp_path) as video:
        first = await video.push(*picture_and_tone(60))
        await video.segments(2, "144p")
        began = time.monotonic()
        await video.push(*picture_and_tone(60), key=f"{KEY}?from=elsewhere")
        assert (await first.finished())[0] != 0
        assert time.monotonic() - began < SOON_S
        await eventually(lambda: b"#EXT-X-DISCONTINUITY\n" in video.read("144p", "index.m3u8"))
        assert "interrupted" not in [state for state, _ in video.registry.states]


async def test_a_half_open_publisher_does_not_lock_its_encoder_out(tmp_path: Path) -> None:
    """A publisher that holds the connection and sends nothing is replaced like any other."""
    async with studio(tmp_path) as video:
        silent = await Publisher.connect("127.0.0.1", video.port)
        assert (await silent.publish(KEY))["code"] == "NetStream.Publish.Start"
        await video.push(*picture_and_tone(30))
        async with asyncio.timeout(SOON_S):
            await silent.finish()
        await video.state("live")
