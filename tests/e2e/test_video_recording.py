"""What was broadcast is there when the stream has ended, across reconnects, and is the same to other programs."""

import re
from pathlib import Path

import pytest

from infra.objects.folder import Folder
from schemas.times import parse_rfc3339
from tests import recorded
from tests.encoders import STREAM, MemoryRegistry, Studio, picture_and_tone, studio
from tests.waits import eventually

pytestmark = pytest.mark.media

#: All pictures of a broadcast but those still held back when its encoder is killed: sent by it, and not by ffmpeg's own buffer.
SLACK_S = 0.5


async def dropped(video: Studio, segments: int) -> float:
    """Publish, and kill the encoder once there are *segments* more; the seconds that viewers could see of it."""
    before = video.read("source", "index.m3u8")
    seen = before.count(b"#EXTINF") if before else 0
    encoder = await video.push(*picture_and_tone(60))
    await video.segments(seen + segments)
    since = len(video.registry.states)
    encoder.kill()
    await video.state("interrupted", since=since)
    return sum(float(each) for each in re.findall(r"#EXTINF:([\d.]+),", video.read("source", "index.m3u8").decode()))


async def test_an_encoder_that_drops_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One recording, told once, at the end: as long as what viewers saw; all decodes, and the MP4 has every picture."""
    monkeypatch.setattr("workers.media.recording.posters.MOST_LOAD", 1000)
    home, registry = Folder(tmp_path / "media"), MemoryRegistry()
    async with studio(tmp_path / "media", registry, home=home, data_dir=tmp_path / "data") as video:
        for _ in range(2):
            await dropped(video, 2)
        seen_s = await dropped(video, 2)
        assert not [name for name in await recorded.names(home) if name.startswith("recording/master")]
        assert STREAM in registry.pictures
        assert await recorded.complaints(tmp_path / "media" / STREAM / "poster.jpg") == ""
        assert await recorded.complaints(recorded.only(tmp_path / "media" / STREAM / "strip", "*.jpg")) == ""
        registry.end(STREAM)
        await eventually(lambda: bool(registry.recordings))

        stream_id, made = registry.recordings[0]
        assert made is not None
        assert (stream_id, made.mp4) == (STREAM, True)
        there = await recorded.brought(home, tmp_path / "copy")
        for name in ("source", "144p"):
            playlist = there / name / "index.m3u8"
            text = playlist.read_text()
            assert text.count("#EXT-X-DISCONTINUITY\n") == 2
            assert text.count("#EXT-X-MAP") == 3
            assert text.startswith("#EXTM3U\n#EXT-X-VERSION:8\n#EXT-X-PLAYLIST-TYPE:VOD\n")
            assert text.endswith("#EXT-X-ENDLIST\n")
            assert abs(recorded.playlist_s(playlist) - seen_s) < SLACK_S
            dates = [parse_rfc3339(each) for each in re.findall(r"DATE-TIME:(\S+)", text)]
            assert dates == sorted(dates)
            assert await recorded.complaints(playlist) == ""
        assert abs(made.duration_ms / 1000 - seen_s) < SLACK_S
        mp4 = recorded.only(there, "recording-*.mp4")
        assert made.size_bytes == mp4.stat().st_size
        assert mp4.read_bytes().index(b"moov") < mp4.read_bytes().index(b"mdat")
        assert await recorded.complaints(mp4) == ""
        assert abs(await recorded.lasts_s(mp4) - seen_s) < SLACK_S
        assert abs(await recorded.pictures(mp4) - made.duration_ms * 30 / 1000) <= 3
        assert "RESOLUTION=320x180,FRAME-RATE=30.000" in (there / "master.m3u8").read_text()
        assert await recorded.complaints(there / "master.m3u8") == ""
        strip = recorded.only(there, "strip-*.jpg")
        for picture in (recorded.only(there, "poster-*.jpg"), strip, there.parent / "poster.jpg"):
            assert await recorded.complaints(picture) == ""
        cues = recorded.only(there, "strip-*.vtt").read_text()
        assert cues.startswith("WEBVTT\n\n00:00:00.000 --> ")
        assert f"\n{strip.name}#xywh=0,0,160,90\n" in cues
        assert not list(there.parent.glob("strip/*"))
        assert len(registry.recordings) == 1
    assert not list((tmp_path / "data" / "spool" / "media" / "0").glob("*/*/*"))
