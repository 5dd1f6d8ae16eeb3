"""A real encoder pushes RTMP; what comes out is HLS that players accept and that has every picture and every sound."""

import time
from pathlib import Path

import pytest

from tests.encoders import AAC, H264, NO_RUNGS, PICTURE, SILENCE, TONE, Encoder, Studio, packets, picture_and_tone, studio
from tests.hls import multivariant, playlist, rules
from tests.waits import eventually

pytestmark = pytest.mark.media


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No transcode is given up or cut short because other tests have the cores: what comes out is counted."""
    monkeypatch.setattr("workers.media.transcoding.BEHIND_S", 60.0)
    monkeypatch.setattr("workers.media.transcoding.FINISH_S", 30.0)


class Readings:
    """What a player that polls one playlist sees of it, checked against the reading before."""

    def __init__(self, video: Studio, name: str) -> None:
        self._video = video
        self._name = name
        self._last = b""
        self._count = 0

    def look(self) -> int:
        """Read it again; how many different readings there were so far."""
        raw = self._video.read(self._name, "index.m3u8")
        if raw != self._last:
            assert rules.check_media(raw) == []
            assert not self._last or rules.check_update(self._last, raw) == []
            self._last = raw
            self._count += 1
        return self._count


def has_ended(video: Studio) -> bool:
    """Whether the last that was told is that the encoder has gone."""
    return [state for state, _ in video.registry.states[-1:]] == ["interrupted"]


async def published(video: Studio, encoder: Encoder) -> None:
    """Wait until *encoder* is done and everything it sent is published."""
    code, complaint = await encoder.finished()
    assert code == 0, complaint
    await video.state("interrupted")


async def assert_rules(video: Studio, *renditions: str) -> None:
    """Everything that can be said of the files as they are now."""
    playlists = {name: video.read(name, "index.m3u8") for name in renditions}
    master = video.read("master.m3u8")
    assert multivariant.check(master) == []
    assert sorted(multivariant.read(master)) == sorted(f"{name}/index.m3u8" for name in renditions)
    assert rules.check_variants(list(playlists.values())) == []
    for name, raw in playlists.items():
        assert rules.check_media(raw) == []
        sizes = {path.name: path.stat().st_size for path in video.file(name).glob("*.m4s")}
        assert multivariant.check_rates(master, f"{name}/index.m3u8", raw, sizes) == []
        await assert_segments(video, name)


async def assert_segments(video: Studio, name: str) -> None:
    """Each segment alone: it decodes, it begins with a keyframe when that is promised, and it lasts what EXTINF says."""
    media = playlist.read(video.read(name, "index.m3u8"))
    for segment in media.segments:
        found = await packets(video.file(name, segment.map_uri), video.file(name, segment.uri), kind="v")
        assert found[0].key or not media.independent
        lasts = max(each.start + each.duration for each in found) - min(each.start for each in found)
        assert lasts == pytest.approx(segment.duration, abs=0.05), segment


async def count(video: Studio, name: str, kind: str) -> tuple[int, float]:
    """Decode a whole rendition, one run: how many frames, and how many seconds of them."""
    media = playlist.read(video.read(name, "index.m3u8"))
    files = [video.file(name, media.segments[0].map_uri), *(video.file(name, each.uri) for each in media.segments)]
    found = await packets(*files, kind=kind, decode=True)
    return len(found), sum(each.duration for each in found)


async def test_every_picture_and_sound_comes_out_and_the_playlists_keep_the_rules(tmp_path: Path) -> None:
    """Six seconds at real pace: 180 pictures and all the sound in both renditions, and no reading breaks a rule."""
    async with studio(tmp_path) as video:
        encoder = await video.push(*picture_and_tone(6))
        source, small = Readings(video, "source"), Readings(video, "144p")
        # Until it is over: what a slow reader does not see is not missed.
        await eventually(lambda: min(source.look(), small.look()) >= 2 and has_ended(video))
        await published(video, encoder)

        await assert_rules(video, "source", "144p")
        for name in ("source", "144p"):
            assert (await count(video, name, "v"))[0] == 180
            assert (await count(video, name, "a"))[1] == pytest.approx(6.0, abs=0.06)
    assert video.registry.states[-2:] == [("live", ("180p", "144p")), ("interrupted", ("180p", "144p"))]


async def test_the_date_of_a_segment_is_when_its_first_picture_arrived(tmp_path: Path) -> None:
    """EXT-X-PROGRAM-DATE-TIME is within 300 ms of when the encoder sent, which ffmpeg's own would miss by a second."""
    async with studio(tmp_path) as video:
        before = time.time()
        await video.push("-readrate_initial_burst", "0.001", *picture_and_tone(7))
        await video.segments(6)
        # Complete a second after its first picture arrived; the first two are held back for the first look.
        later = playlist.read(video.read("source", "index.m3u8")).segments[2:]
        assert all(each.date is not None and before < each.date for each in later)
        late = [video.file("source", each.uri).stat().st_mtime - (each.date or 0) - each.duration for each in later]
    # One is enough: a busy machine writes late, and never early.
    assert min(late) == pytest.approx(0.15, abs=0.3)


async def test_silent_sound_keeps_its_clock(tmp_path: Path) -> None:
    """Silent AAC comes in frames of equal size, whose type-3 headers repeat the last delta: 8 s stay 8 s."""
    async with studio(tmp_path, transcode_heights=NO_RUNGS) as video:
        rate = ("-readrate", "4")
        encoder = await video.push(*rate, *PICTURE, *rate, *SILENCE, "-t", "8", *H264, *AAC)
        await published(video, encoder)
        await assert_rules(video, "source")
        assert (await count(video, "source", "a"))[1] == pytest.approx(8.0, abs=0.06)
        pictures = await packets(*files(video, "source"), kind="v")
        sounds = await packets(*files(video, "source"), kind="a")
        assert sounds[-1].start == pytest.approx(pictures[-1].start, abs=0.1)


def files(video: Studio, name: str) -> list[Path]:
    """The files of a rendition's first run, in order."""
    media = playlist.read(video.read(name, "index.m3u8"))
    first = media.segments[0].map_uri
    return [video.file(name, first), *(video.file(name, each.uri) for each in media.segments if each.map_uri == first)]


async def test_timestamps_past_24_bits(tmp_path: Path) -> None:
    """An encoder that has run for over 4 h 39 min needs extended timestamps in every header; nothing is lost."""
    async with studio(tmp_path, transcode_heights=NO_RUNGS) as video:
        encoder = await video.push(*picture_and_tone(4, speed=4), "-output_ts_offset", "17000")
        await published(video, encoder)
        await assert_rules(video, "source")
        assert (await count(video, "source", "v"))[0] == 120
        assert (await packets(*files(video, "source"), kind="v"))[0].start == pytest.approx(17000, abs=0.1)


async def test_timestamps_that_cross_24_bits(tmp_path: Path) -> None:
    """The step from 24 to 32 bit timestamps in mid-stream is no discontinuity."""
    async with studio(tmp_path, transcode_heights=NO_RUNGS) as video:
        encoder = await video.push(*picture_and_tone(5, speed=4), "-output_ts_offset", "16775")
        await published(video, encoder)
        await assert_rules(video, "source")
        assert (await count(video, "source", "v"))[0] == 150
        assert b"#EXT-X-DISCONTINUITY\n" not in video.read("source", "index.m3u8")


async def test_no_sound(tmp_path: Path) -> None:
    """A broadcast without sound starts as fast as any other."""
    async with studio(tmp_path) as video:
        encoder = await video.push("-readrate", "4", *PICTURE, "-t", "4", *H264)
        await published(video, encoder)
        await assert_rules(video, "source", "144p")
        assert (await count(video, "144p", "v"))[0] == 120
        assert b'CODECS="avc1' in video.read("master.m3u8")
        assert b"mp4a" not in video.read("master.m3u8")


async def test_sound_alone(tmp_path: Path) -> None:
    """A broadcast without pictures is published as sound, without a transcode."""
    async with studio(tmp_path) as video:
        encoder = await video.push("-readrate", "4", *TONE, "-t", "8", *AAC)
        await published(video, encoder)
        assert multivariant.check(video.read("master.m3u8")) == []
        assert rules.check_media(video.read("source", "index.m3u8")) == []
        # The first two seconds pass while a picture may still come.
        assert (await count(video, "source", "a"))[1] == pytest.approx(6.0, abs=0.1)
    assert video.registry.states[0] == ("live", ("audio",))


async def test_reordered_pictures_and_long_groups(tmp_path: Path) -> None:
    """B-frames keep their times, and with a keyframe every 3 s segments and target duration are 3 s."""
    async with studio(tmp_path) as video:
        arguments = picture_and_tone(9, speed=3, group=90)
        encoder = await video.push(*arguments, "-preset", "veryfast", "-bf", "2", "-sc_threshold", "0")
        await published(video, encoder)
        await assert_rules(video, "source", "144p")
        assert (await count(video, "source", "v"))[0] == 270
        assert playlist.read(video.read("source", "index.m3u8")).target == 3


async def test_groups_that_become_longer_than_the_target_duration(tmp_path: Path) -> None:
    """Keyframes at 0, 1, 2 and 7 s: the target duration stays 1, segments are cut without keyframe and say so."""
    async with studio(tmp_path) as video:
        encoder = await video.push(*picture_and_tone(9, speed=3, group=600), "-force_key_frames", "0,1,2,7")
        await published(video, encoder)
        await assert_rules(video, "source", "144p")
        assert (await count(video, "source", "v"))[0] == 270
        media = playlist.read(video.read("source", "index.m3u8"))
        assert (media.target, media.independent) == (1, False)


async def test_ipv6_encoder(tmp_path: Path) -> None:
    """An encoder that comes over IPv6 is taken like any other."""
    async with studio(tmp_path, transcode_heights=NO_RUNGS) as video:
        encoder = await video.push(*picture_and_tone(2, speed=4), host="[::1]")
        await published(video, encoder)
        assert (await count(video, "source", "v"))[0] == 60


async def test_files_are_bounded_and_named_once(tmp_path: Path) -> None:
    """A long broadcast leaves a window of files; the playlist lists ten and drops from the front."""
    async with studio(tmp_path, transcode_heights=NO_RUNGS) as video:
        encoder = await video.push(*picture_and_tone(40, speed=8))
        readings = Readings(video, "source")
        await eventually(lambda: readings.look() >= 5)
        await published(video, encoder)
        media = playlist.read(video.read("source", "index.m3u8"))
        assert len(media.segments) == 10
        assert media.sequence == 30
        assert rules.check_media(video.read("source", "index.m3u8")) == []


async def test_drained_and_ended(tmp_path: Path) -> None:
    """The end of a stream ends its playlists for good; the end of the worker does not."""
    async with studio(tmp_path) as video:
        await video.push(*picture_and_tone(30))
        await video.segments(2, "144p")
    assert b"ENDLIST" not in video.read("source", "index.m3u8")
    async with studio(tmp_path, video.registry) as video:
        encoder = await video.push(*picture_and_tone(30))
        await video.state("live", since=len(video.registry.states))
        video.registry.end("018bcfe5-6800-7bb6-bc13-d949c5118ce2")
        code, _ = await encoder.finished()
        assert code != 0
        await video.state("ended")
    for name in ("source", "144p"):
        raw = video.read(name, "index.m3u8")
        assert raw.endswith(b"#EXT-X-ENDLIST\n")
        assert rules.check_media(raw) == []
