"""What gateways get from a worker: low-latency playlists that wait, parts that come true, and nothing of before an outage."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from infra.heights import Heights
from tests.encoders import AAC, H264, NO_RUNGS, TONE, Studio, picture_and_tone, studio
from tests.hls import rules
from tests.waits import PATIENCE_S, eventually

pytestmark = pytest.mark.media

_PART = re.compile(r'#EXT-X-PART:DURATION=([\d.]+),URI="([^"]+)"(.*)')


@asynccontextmanager
async def asking(video: Studio) -> AsyncIterator[httpx.AsyncClient]:
    """A client of *video*'s origin, once there is something to ask for."""
    async with httpx.AsyncClient(base_url=video.origin, timeout=30) as client:

        async def there() -> bool:
            return (await client.get("/master.m3u8")).status_code == 200

        await eventually(there)
        yield client


def at(text: str) -> tuple[int, int]:
    """Media sequence number and index of the newest part."""
    lines = text.splitlines()
    msn = int(next(line for line in lines if "MEDIA-SEQUENCE" in line and "DISC" not in line).partition(":")[2])
    msn += sum(not line.startswith("#") for line in lines)
    tail = text[text.rindex(".m4s\n", 0, text.rindex("#EXTINF") + 60) :] if "#EXTINF" in text else text
    return msn, len(_PART.findall(tail)) - 1


def plain(text: str) -> bytes:
    """What a player that knows no parts makes of it."""
    low = ("#EXT-X-PART", "#EXT-X-SERVER", "#EXT-X-PRELOAD", "#EXT-X-RENDITION")
    return "\n".join([line for line in text.splitlines() if not line.startswith(low)]).encode() + b"\n"


class Follower:
    """Reloads one rendition as a low-latency player does, and notes what is wrong."""

    def __init__(self, client: httpx.AsyncClient, name: str) -> None:
        self.client = client
        self.name = name
        self.waits: list[float] = []
        self.parts: dict[str, float] = {}
        self.bodies: dict[str, bytes] = {}
        self.text = ""

    async def get(self, name: str) -> httpx.Response:
        """One file."""
        return await self.client.get(f"/{self.name}/{name}")

    async def follow(self, seconds: float) -> "Follower":
        """For so long."""
        self.text = (await self.get("index.m3u8")).text
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            msn, part = at(self.text)
            began = time.monotonic()
            answer = await self.get(f"index.m3u8?_HLS_msn={msn}&_HLS_part={part + 1}")
            self.waits.append(time.monotonic() - began)
            assert answer.status_code == 200
            assert at(answer.text) > (msn, part)
            assert rules.check_media(plain(answer.text)) == []
            assert rules.check_update(plain(self.text), plain(answer.text)) == []
            self.text = answer.text
            await self._look()
        return self

    async def _look(self) -> None:
        for duration, name, rest in _PART.findall(self.text):
            assert self.parts.setdefault(name, float(duration)) == float(duration)
            if name not in self.bodies and "GAP" not in rest:
                got = await self.get(name)
                assert got.status_code == 200
                self.bodies[name] = got.content

    async def assert_parts_make_segments(self) -> None:
        """A listed segment is its parts, joined, and lasts as long as they."""
        target = float(re.findall(r"PART-TARGET=([\d.]+)", self.text)[0])
        pending: list[str] = []
        lasts = 0.0
        for line in self.text.splitlines():
            if match := _PART.match(line):
                pending.append(match[2])
                assert float(match[1]) <= target
            elif line.startswith("#EXTINF:"):
                lasts = float(line[8:-1])
            elif not line.startswith("#"):
                if pending:
                    assert sum(self.parts[name] for name in pending) == pytest.approx(lasts, abs=0.0005)
                    assert all(self.parts[name] >= 0.85 * target for name in pending[:-1])
                    assert (await self.get(line)).content == b"".join(self.bodies[name] for name in pending)
                pending = []


async def test_a_player_follows_all_renditions(tmp_path: Path) -> None:
    """Ten seconds of blocking reloads of three renditions: each answer has the part asked for, no rule is broken."""
    async with studio(tmp_path, transcode_heights=Heights((144, 120))) as video:
        await video.push(*picture_and_tone(60))
        async with asking(video) as client:

            async def listed() -> bool:
                return (await client.get("/master.m3u8")).text.count("index.m3u8") == 3

            await eventually(listed)
            names = ("source", "144p", "120p")
            followers = await asyncio.gather(*(Follower(client, name).follow(10) for name in names))
        async with asking(video) as client:
            for each in followers:
                each.client = client
                assert len(each.bodies) >= 20
                assert set(each.parts.values()) == {0.2}
                await each.assert_parts_make_segments()
                waits = sorted(each.waits)
                # A part's time, and not a segment's; that each waited for something is that its answer was newer.
                assert waits[len(waits) // 2] < 0.6
                assert each.text.count("#EXT-X-RENDITION-REPORT") == 2
            assert rules.check_variants([plain(each.text) for each in followers]) == []


async def test_a_hint_comes_true_and_nonsense_is_refused(tmp_path: Path) -> None:
    """The next part waits until it is there; directives that make no sense are 400, what never was is 404."""
    async with studio(tmp_path, transcode_heights=NO_RUNGS) as video:
        await video.push(*picture_and_tone(60))
        async with asking(video) as client:
            for _ in range(8):
                text = (await client.get("/source/index.m3u8")).text
                hinted = re.findall(r'PRELOAD-HINT:TYPE=PART,URI="([^"]+)"', text)[0]
                got = await client.get(f"/source/{hinted}")
                assert (got.status_code, got.headers["content-type"]) == (200, "video/mp4")
                assert got.headers["cache-control"] == "public, max-age=31536000, immutable"
            bad = ["_HLS_part=3", "_HLS_msn=99999", "_HLS_msn=x", "_HLS_msn=1&_HLS_msn=2", "_HLS_msn=-1"]
            assert {(await client.get(f"/source/index.m3u8?{query}")).status_code for query in bad} == {400}
            missing = ["/source/part-1.m4s", "/nothing/index.m3u8", "/source/../../x", "/source/segment-9-9.m4s", "/x"]
            assert {(await client.get(path)).status_code for path in missing} == {404}
            other = await client.get(video.origin.rpartition("/")[0] + "/018bcfe5-6800-7bb6-bc13-d949c5118ce3/master.m3u8")
            assert (other.status_code, other.json()) == (404, {"owner": None})
            assert (await client.get("/source/index.m3u8")).headers["cache-control"] == "no-cache"


async def waited(client: httpx.AsyncClient, url: str) -> str:
    """What a player that asks again after each 503 gets in the end: FFmpeg may take longer to start than one wait."""
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await client.get(url)).status_code == 503:
            pass
    assert answer.status_code == 200
    return answer.text


async def test_a_wait_that_is_in_vain_ends(tmp_path: Path) -> None:
    """While the encoder is away a reload waits three target durations, then 503; when it is back, one waits no longer."""
    async with studio(tmp_path, transcode_heights=NO_RUNGS) as video:
        encoder = await video.push(*picture_and_tone(60))
        async with asking(video) as client:
            encoder.kill()
            await video.state("interrupted")
            text = (await client.get("/source/index.m3u8")).text
            assert text.count("#EXT-X-GAP") == text.count("#EXTINF") > 0
            msn, _ = at(text)
            began = time.monotonic()
            late = await client.get(f"/source/index.m3u8?_HLS_msn={msn}&_HLS_part=0")
            assert (late.status_code, late.headers["retry-after"]) == (503, "1")
            assert 2.5 < time.monotonic() - began < 12

            waiting = asyncio.create_task(waited(client, f"/source/index.m3u8?_HLS_msn={msn}&_HLS_part=0"))
            await video.push(*picture_and_tone(60))
            back = await waiting
            fresh = back.partition("#EXT-X-DISCONTINUITY\n")[2]
            assert "#EXT-X-GAP" not in fresh
            assert "INDEPENDENT=YES" in fresh
            assert back.partition("#EXT-X-DISCONTINUITY\n")[0].count("#EXT-X-GAP") == back.count("#EXTINF")
            found = rules.check_media(plain(back))
            assert found == []
            follower = await Follower(client, "source").follow(4)
            await follower.assert_parts_make_segments()
            assert follower.text.count("#EXT-X-DISCONTINUITY\n") == 1


async def test_sound_alone_has_parts(tmp_path: Path) -> None:
    """A broadcast of sound is as low in latency as any other."""
    async with studio(tmp_path) as video:
        await video.push("-re", *TONE, "-t", "60", *AAC)
        async with asking(video) as client:
            follower = await Follower(client, "source").follow(4)
            assert max(follower.parts.values()) <= 0.2
            await follower.assert_parts_make_segments()


async def test_the_grace_period(tmp_path: Path) -> None:
    """After it the stream leaves the worker's memory; the encoder that returns all the same goes on with its playlists."""
    async with studio(tmp_path, transcode_heights=NO_RUNGS, media_grace_s=1.5) as video:
        encoder = await video.push(*picture_and_tone(60))
        async with asking(video) as client:
            await video.segments(3)
            before = video.read("source", "index.m3u8")
            encoder.kill()

            async def forgotten() -> bool:
                return (await client.get("/master.m3u8")).status_code == 404

            await eventually(forgotten)
        await video.push(*picture_and_tone(60))
        async with asking(video):
            await eventually(lambda: b"#EXT-X-DISCONTINUITY\n" in video.read("source", "index.m3u8"))
            assert rules.check_update(before, video.read("source", "index.m3u8")) == []


async def test_an_encoder_that_reorders_pictures_at_24_per_second(tmp_path: Path) -> None:
    """Parts are five pictures long there, and the announced target covers what milliseconds round them to."""
    async with studio(tmp_path, transcode_heights=NO_RUNGS) as video:
        film = ("-f", "lavfi", "-i", "testsrc2=s=320x180:r=24")
        options = (*H264, "-preset", "veryfast", "-bf", "2", "-g", "48", "-sc_threshold", "0")
        await video.push("-re", *film, "-re", *TONE, "-t", "60", *options, *AAC)
        async with asking(video) as client:
            follower = await Follower(client, "source").follow(5)
            assert 0.2 <= max(follower.parts.values()) <= 0.21
            await follower.assert_parts_make_segments()
