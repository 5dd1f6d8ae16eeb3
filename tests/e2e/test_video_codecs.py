"""HEVC and AV1 as FFmpeg really publishes them: passed through as they came, and in H.264 for whoever cannot play them."""

import asyncio
import re
import subprocess
from pathlib import Path

import pytest

from infra.codecs import Codecs
from infra.heights import Heights
from tests.dialogues import Said, tags
from tests.encoders import AAC, FFMPEG, KEY, NO_RUNGS, PICTURE, TONE, Studio, packets, studio
from tests.hls import multivariant, playlist, rules
from tests.hls.client import check
from tests.rtmp import Publisher
from tests.waits import eventually
from workers.media.cmaf.setup import MILLISECONDS

pytestmark = pytest.mark.media


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No transcode is given up or cut short because other tests have the cores: what comes out is counted."""
    monkeypatch.setattr("workers.media.transcoding.BEHIND_S", 60.0)
    monkeypatch.setattr("workers.media.transcoding.FINISH_S", 30.0)


X265 = "keyint=30:min-keyint=30:scenecut=0:log-level=error"
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-bf", "2")
CLOSED = (*HEVC, "-x265-params", f"{X265}:open-gop=0")
OPEN = (*HEVC, "-x265-params", f"{X265}:open-gop=1")
AV1 = ("-c:v", "libsvtav1", "-preset", "11", "-svtav1-params", "pred-struct=1", "-g", "30", "-pix_fmt", "yuv420p")
RUNGS = ("180p", "144p")
#: So that it still goes on when two transcoders on two busy cores have something to show, and three seconds more.
SECONDS = 9
#: What FLV's milliseconds and the track's 1/30 leave of a moment.
NEAR_S = 1.5 / MILLISECONDS


def sent(codec: tuple[str, ...], seconds: float, speed: float = 1.0) -> tuple[str, ...]:
    """A broadcast in *codec*."""
    rate = ("-readrate", str(speed))
    return (*rate, *PICTURE, *rate, *TONE, "-t", str(seconds), *codec, *AAC)


def files(video: Studio, name: str) -> list[Path]:
    """The initialisation and the segments of *name*."""
    media = playlist.read(video.read(name, "index.m3u8"))
    return [video.file(name, media.segments[0].map_uri), *(video.file(name, each.uri) for each in media.segments)]


def named_by_ffmpeg(of: list[Path], folder: Path) -> str:
    """The codec string that FFmpeg's own DASH muxer gives the AV1 that it reads in these files; it has none for HEVC."""
    folder.mkdir(parents=True)
    words = ("-nostdin", "-v", "error", "-i", "pipe:0", "-map", "0:v", "-c", "copy", "-f", "dash", str(folder / "x.mpd"))
    subprocess.run([FFMPEG, *words], input=b"".join(each.read_bytes() for each in of), check=True)
    found = re.search(r'codecs="([^"]+)"', (folder / "x.mpd").read_text())
    assert found
    return found[1]


async def test_they_are_passed_through_and_transcoded(tmp_path: Path) -> None:
    """HEVC and AV1, side by side."""
    await asyncio.gather(
        passed_through_and_transcoded(tmp_path / "hevc", CLOSED, "hvc1.1.6."),
        passed_through_and_transcoded(tmp_path / "av1", AV1, "av01.0."),
    )


async def passed_through_and_transcoded(tmp_path: Path, codec: tuple[str, ...], name: str) -> None:
    """Every picture in all renditions, which begin their segments at the same moments with keyframes; no rule is broken."""
    async with studio(tmp_path / "media") as video:
        encoder = await video.push(*sent(codec, SECONDS))
        await video.state("live")
        # Nobody is shown a stream that few can play: the first that is said of it has the H.264.
        assert video.registry.states[0] in (("live", ("180p", "144p")), ("live", ("180p",)))
        await eventually(lambda: video.read("master.m3u8") != b"")
        assert b"avc1" in video.read("master.m3u8")
        await eventually(lambda: video.read("master.m3u8").count(b"STREAM-INF") == 3)
        report = await check(f"{video.origin}/master.m3u8", 3.0)
        # Headers for pages and caches are the gateway's; how late anything is, the bench measures.
        assert [fault for fault in report.broken if not fault.startswith(("head:", "late:"))] == []
        assert report.looked["part"] > 4
        assert (await encoder.finished())[0] == 0
        await video.state("interrupted")

        master = multivariant.read(video.read("master.m3u8"))
        assert multivariant.check(video.read("master.m3u8")) == []
        codecs = {uri.partition("/")[0]: each["CODECS"].split(",") for uri, each in master.items()}
        assert codecs["source"][0].startswith(name)
        if codec is AV1:
            assert codecs["source"][0] == await asyncio.to_thread(named_by_ffmpeg, files(video, "source"), tmp_path / "dash")
        assert all(codecs[rung][0].startswith("avc1.") for rung in RUNGS)
        assert master["source/index.m3u8"]["RESOLUTION"] == master["180p/index.m3u8"]["RESOLUTION"] == "320x180"
        assert float(master["source/index.m3u8"]["FRAME-RATE"]) == pytest.approx(30, abs=0.2)

        playlists = {each: video.read(each, "index.m3u8") for each in ("source", *RUNGS)}
        assert [fault for raw in playlists.values() for fault in rules.check_media(raw)] == []
        assert rules.check_variants(list(playlists.values())) == []
        begins = {each: await beginnings(video, each) for each in playlists}
        assert len(begins["source"]) == SECONDS
        for rung in RUNGS:
            assert begins[rung] == [pytest.approx(at, abs=NEAR_S) for at in begins["source"]]
        for each in playlists:
            assert len(await packets(*files(video, each), kind="v", decode=True)) == 30 * SECONDS
            assert sum(frame.duration for frame in await packets(*files(video, each), kind="a", decode=True)) == pytest.approx(
                SECONDS, abs=0.06
            )


async def beginnings(video: Studio, name: str) -> list[float]:
    """When each segment's first picture is shown; it is a keyframe, and all in it can be decoded with it alone."""
    initialisation, *segments = files(video, name)
    found = []
    for segment in segments:
        pictures = await packets(initialisation, segment, kind="v", decode=True)
        assert (await packets(initialisation, segment, kind="v"))[0].key
        assert len(pictures) == 30
        found.append(pictures[0].start)
    return found


async def test_open_groups(tmp_path: Path) -> None:
    """Pictures that are shown before a keyframe and sent behind it: none is lost, renditions begin with the keyframes."""
    async with studio(tmp_path) as video:
        encoder = await video.push(*sent(OPEN, 4, speed=2))
        assert (await encoder.finished())[0] == 0
        await video.state("interrupted")
        await assert_whole(video, 120)


async def assert_whole(video: Studio, pictures: int) -> None:
    """All renditions have so many pictures; the transcoded ones begin each segment with a keyframe."""
    for name in ("source", *RUNGS):
        assert rules.check_media(video.read(name, "index.m3u8")) == []
        assert len(await packets(*files(video, name), kind="v", decode=True)) == pictures
    initialisation, *segments = files(video, "180p")
    for segment in segments:
        assert (await packets(initialisation, segment, kind="v"))[0].key


async def written(codec: tuple[str, ...]) -> list[Said]:
    """Four seconds of pictures as FFmpeg writes them."""
    words = ("-nostdin", "-v", "error", *PICTURE, "-t", "4", *codec, "-f", "flv", "pipe:1")
    process = await asyncio.create_subprocess_exec(FFMPEG, *words, stdout=asyncio.subprocess.PIPE)
    raw, _ = await process.communicate()
    return tags(raw)


async def publish(video: Studio, said: list[Said]) -> Publisher:
    """Send all of it at once."""
    encoder = await Publisher.connect("127.0.0.1", video.port)
    assert (await encoder.publish(KEY))["level"] == "status"
    for each in said:
        encoder.send(each.type, each.payload, each.timestamp)
    return encoder


async def test_set_up_without_a_sequence_header(tmp_path: Path) -> None:
    """librav1e sends it with its keyframes only: its size is found there, and players and FFmpeg are given it."""
    said = await written(AV1)
    at = next(n for n, each in enumerate(said) if each.payload[:5] == b"\x90av01")
    said[at] = said[at]._replace(payload=said[at].payload[:9])
    async with studio(tmp_path) as video:
        encoder = await publish(video, said)
        await eventually(lambda: b"320x180" in video.read("master.m3u8"))
        await video.segments(3, "180p")
        encoder.writer.close()
        await video.state("interrupted")
        await assert_whole(video, 120)


@pytest.mark.parametrize(("cores", "heights"), [(0.01, Heights((144,))), (0.0, NO_RUNGS)], ids=["no-room", "not-wanted"])
async def test_without_a_transcoder_it_is_passed_through_with_a_warning(tmp_path: Path, cores: float, heights: Heights) -> None:
    """The broadcaster reads that many see nothing, and the video goes on for those whose players can."""
    async with studio(tmp_path, transcode_cores=cores, transcode_heights=heights) as video:
        encoder = await publish(video, await written(CLOSED))
        said = await encoder.status()
        assert said["level"] == "warning"
        assert "cannot play HEVC (H.265) see nothing" in str(said["description"])
        await video.state("live")
        assert video.registry.states[0] == ("live", ("180p",))
        await eventually(lambda: b'CODECS="hvc1.' in video.read("master.m3u8"))
        encoder.writer.close()


async def test_a_site_that_does_not_take_it_says_so(tmp_path: Path) -> None:
    """Refused by name, with what is taken, before anything is published."""
    async with studio(tmp_path, ingest_codecs=Codecs(("h264", "av1"))) as video:
        code, said = await (await video.push(*sent(CLOSED, 4))).finished()
        assert code != 0
        assert "takes H.264 or AV1 video, and HEVC (H.265) came" in said
        assert video.registry.states == []
