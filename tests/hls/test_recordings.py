"""What is kept with the recordings, through a gateway: from a folder, and from a real S3 service."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.objects.contract import ObjectStore
from infra.objects.folder import Folder
from infra.objects.s3 import S3
from tests.backends.nats import NatsServer
from tests.backends.s3 import KEY, WeedServer
from tests.broker import broker
from tests.cluster import cluster
from tests.hls.scripted import scripted
from tests.hls.stage import Stage, new_stream
from tests.waits import eventually
from tests.wires import Answer, wire

MIB = 1024**2
FILM = "recording/recording.mp4"
SEGMENT = "recording/source/0000000001-1-0-1795270627996-1000.m4s"

pytestmark = [pytest.mark.nats, pytest.mark.s3]


class Kept:
    """A gateway, an ended stream, and the home that its recording is in."""

    def __init__(self, stage: Stage, home: ObjectStore, weed: WeedServer | None) -> None:
        self.stage = stage
        self.home = home
        self.weed = weed

    async def put(self, path: str, data: bytes) -> bytes:
        """Keep *data* for the stream."""
        await self.home.put(f"{self.stage.stream_id}/{path}", data)
        return data

    async def ask(self, path: str, *lines: str, method: str = "GET") -> Answer:
        """Ask the gateway for it."""
        return await self.stage.raw(path, *lines, method=method)


@pytest.fixture(name="weed")
def _weed(request: pytest.FixtureRequest) -> WeedServer | None:
    return request.getfixturevalue("own_s3_server") if request.param == "s3" else None


@pytest.fixture(name="kept")
async def _kept(weed: WeedServer | None, nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Kept]:
    settings: dict[str, Any] = {"media_url": f"file://{tmp_path}/media"}
    home: ObjectStore = Folder(tmp_path / "media")
    if weed is not None:
        prefix = f"media/{uuid.uuid4().hex}"
        home = S3(weed.access(), weed.bucket, prefix)
        settings = {
            "media_url": f"s3://{weed.bucket}/{prefix}/",
            "s3_endpoint": weed.endpoint,
            "s3_access_key_id": KEY[0],
            "s3_secret_access_key": KEY[1],
        }
    async with cluster(nats_server, tmp_path, archive=False, **settings) as c:
        async with broker(nats_server.url, apply=False) as b, httpx.AsyncClient(timeout=40) as http:
            stream_id = await new_stream(b)
            async with scripted(stream_id) as worker:
                worker.playlist("master.m3u8", b"#EXTM3U\n")
                await worker.own(b, 1)
                stage = Stage(c, b, worker, stream_id, http)

                async def known() -> bool:
                    return (await stage.get("master.m3u8")).status_code == 200

                await eventually(known)
                yield Kept(stage, home, weed)


both = pytest.mark.parametrize("weed", ["folder", "s3"], indirect=True)
folder = pytest.mark.parametrize("weed", ["folder"], indirect=True)
s3 = pytest.mark.parametrize("weed", ["s3"], indirect=True)


@both
async def test_a_film_in_parts(kept: Kept) -> None:
    """RFC 9110: whole, 206 with its Content-Range, 416, HEAD with its length, for pages of any origin; of any home."""
    data = await kept.put(FILM, random.Random(1).randbytes(5 * MIB + 3))
    size = len(data)
    whole = await kept.ask(FILM)
    assert (whole.status, whole.body == data) == (200, True)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (whole.headers["accept-ranges"], whole.headers["access-control-allow-origin"]) == ("bytes", "*")
    head = await kept.ask(FILM, method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(size), b"")
    for asked, first, last in [
        ("0-9", 0, 9),
        ("-5", size - 5, size - 1),
        (f"{MIB}-", MIB, size - 1),
        (f"7-{size * 2}", 7, size - 1),
    ]:
        part = await kept.ask(FILM, f"Range: bytes={asked}")
        assert (part.status, part.headers["content-range"]) == (206, f"bytes {first}-{last}/{size}")
        assert part.body == data[first : last + 1]
    past = await kept.ask(FILM, f"Range: bytes={size}-")
    assert (past.status, past.headers["content-range"], past.body) == (416, f"bytes */{size}", b"")
    assert (await kept.ask(FILM, "Range: bytes=5-2")).body == data
    assert (await kept.ask("recording/other.mp4")).status == 404


@both
async def test_the_other_half_is_of_the_same_film(kept: Kept) -> None:
    """With If-Range a film that has been replaced comes whole; with If-None-Match one that has not comes not at all."""
    await kept.put(FILM, b"a" * 1000)
    etag = (await kept.ask(FILM, "Range: bytes=0-499")).headers["etag"]
    assert (await kept.ask(FILM, "Range: bytes=500-", f"If-Range: {etag}")).status == 206
    same = await kept.ask(FILM, f"If-None-Match: {etag}", method="HEAD")
    assert (same.status, same.headers["etag"]) == (304, etag)
    data = await kept.put(FILM, b"b" * 1001)
    other = await kept.ask(FILM, "Range: bytes=500-", f"If-Range: {etag}")
    assert (other.status, other.body) == (200, data)
    assert (await kept.ask(FILM, f"If-None-Match: {etag}")).status == 200


@both
async def test_what_is_kept_needs_no_worker(kept: Kept) -> None:
    """Pictures, playlists and segments come from the home, with their types and for how long a cache may have them."""
    forever = "public, max-age=31536000, immutable"
    for path, kind, cache in [
        ("poster.jpg", "image/jpeg", "public, max-age=10"),
        ("strip/index.vtt", "text/vtt; charset=utf-8", "public, max-age=10"),
        ("strip/1795270627996.jpg", "image/jpeg", forever),
        ("recording/poster.jpg", "image/jpeg", forever),
        ("recording/strip.jpg", "image/jpeg", forever),
        ("recording/strip.vtt", "text/vtt; charset=utf-8", forever),
        ("recording/master.m3u8", "application/vnd.apple.mpegurl", "public, max-age=60"),
        ("recording/source/index.m3u8", "application/vnd.apple.mpegurl", "public, max-age=60"),
        ("recording/source/init-1.mp4", "video/mp4", forever),
        (SEGMENT, "video/mp4", forever),
    ]:
        assert (await kept.ask(path)).status == 404
        data = await kept.put(path, path.encode())
        for lines in ((), ("If-None-Match: x",)):
            answer = await kept.ask(path, *lines)
            assert (answer.status, answer.body) == (200, data), path
            assert (answer.headers["content-type"], answer.headers["cache-control"]) == (kind, cache), path
    assert kept.stage.worker.asked.keys() == {"master.m3u8"}


@both
async def test_slow_viewers_cost_little(kept: Kept) -> None:
    """Sixty who take nothing of a film of 100 MiB cost a gateway less than 2 MiB each; who leaves costs nothing more."""
    data = await kept.put(FILM, bytes(MIB) * 100)
    gateway = kept.stage.c.gateways[0]
    request = f"GET /hls/{kept.stage.stream_id}/{FILM} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

    async def open_films() -> float:
        return await kept.stage.metric("ovation_hls_films")

    before = _rss(gateway.pid)
    async with asyncio.TaskGroup() as group:
        leave = asyncio.Event()
        for _ in range(60):
            group.create_task(_idle(kept.stage.c.ports[0], request, leave))

        async def all_open() -> bool:
            return await open_films() == 60

        await eventually(all_open)
        assert len((await kept.ask(FILM, "Range: bytes=1000000-1999999")).body) == 1_000_000
        grown = _rss(gateway.pid) - before
        leave.set()

    async def none_open() -> bool:
        return await open_films() == 0

    await eventually(none_open)
    assert len(data) == 100 * MIB
    assert grown < 120 * MIB, f"{grown / MIB:.0f} MiB for 60 viewers"


@s3
async def test_a_home_that_hangs(kept: Kept) -> None:
    """Then what is kept is 503 within 15 s, the cause is logged without a key, and what is live goes on; later all is well."""
    data = await kept.put(SEGMENT, b"segment")
    await kept.put(FILM, b"film")
    assert kept.weed is not None
    kept.weed.pause()
    try:
        async with asyncio.timeout(40):
            answers = await asyncio.gather(
                *(kept.stage.http.get(kept.stage.url(path)) for path in (SEGMENT, FILM, "master.m3u8")), return_exceptions=False
            )
    finally:
        kept.weed.resume()
    assert [answer.status_code for answer in answers] == [503, 503, 200]

    async def back() -> bool:
        return (await kept.stage.get(SEGMENT)).content == data

    await eventually(back)
    logged = kept.stage.c.gateways[0].log.read_text()
    assert "has not answered in time" in logged
    assert KEY[1] not in logged


async def _idle(port: int, request: bytes, leave: asyncio.Event) -> None:
    async with wire(port) as line:
        line.send(request)
        await leave.wait()


def _rss(pid: int) -> int:
    words = Path(f"/proc/{pid}/statm").read_text().split()
    return int(words[1]) * 4096
