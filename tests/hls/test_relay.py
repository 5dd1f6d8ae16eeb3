"""The gateway between viewers and a media worker: asked once, passed on as it was said, and patient."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import jwt
import pytest

from schemas.records import Broadcaster, Privacy, Status, StreamRecord
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.cluster import Cluster, cluster
from tests.hls.scripted import Scripted, scripted
from tests.processes import Client
from tests.waits import eventually
from tests.wires import Answer, wire

pytestmark = pytest.mark.nats

PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:9\n" + b"#EXT-X-PROGRAM-DATE-TIME:2026-11-21T10:00:00.000Z\n" * 20
PART = bytes(range(256)) * 200
NEXT = "source/index.m3u8?_HLS_msn=7&_HLS_part=3"


@dataclass
class Stage:
    """A gateway or two, a stream, and the worker that owns it."""

    c: Cluster
    b: Broker
    worker: Scripted
    stream_id: str
    http: httpx.AsyncClient

    def url(self, path: str, gateway: int = 0) -> str:
        """A public address."""
        return f"{self.c.url(gateway)}/hls/{self.stream_id}/{path}"

    async def get(self, path: str, gateway: int = 0, **headers: str) -> httpx.Response:
        """Ask for it."""
        return await self.http.get(self.url(path, gateway), headers=headers)

    async def raw(self, path: str, *lines: str, gateway: int = 0, method: str = "GET") -> Answer:
        """Ask for it by hand."""
        async with wire(self.c.ports[gateway]) as line:
            head = [f"{method} /hls/{self.stream_id}/{path} HTTP/1.1", "Host: x", *lines]
            line.send("\r\n".join(head).encode() + b"\r\n\r\n")
            async with asyncio.timeout(10):
                top = (await line.reader.readuntil(b"\r\n\r\n")).decode()
            first, *rest = top.strip().split("\r\n")
            headers = dict(each.split(": ", 1) for each in rest)
            length = 0 if method == "HEAD" else int(headers["content-length"])
            return Answer(int(first.split()[1]), headers, await line.reader.readexactly(length))

    async def metric(self, name: str, gateway: int = 0) -> float:
        """A gateway's metric."""
        text = (await self.http.get(f"{self.c.gateways[gateway].ops_url}/metrics")).text
        found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(found[0])


async def _stream(b: Broker, privacy: Privacy = "public", status: Status = "live") -> str:
    stream_id = fresh_stream()
    owner = Broadcaster(id="ada", name="Ada")
    await b.records.create(
        StreamRecord(
            stream_id=stream_id,
            broadcaster=owner,
            title="A stream",
            status=status,
            privacy=privacy,
            key_sha256="",
            created_at=1,
        )
    )
    return stream_id


@pytest.fixture(name="s")
async def _s(request: pytest.FixtureRequest, nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Stage]:
    count: int = getattr(request, "param", 1)
    async with cluster(nats_server, tmp_path, gateways=count, archive=False, media_url=f"file://{tmp_path}/media") as c:
        async with broker(nats_server.url, apply=False) as b, httpx.AsyncClient(timeout=20) as http:
            stream_id = await _stream(b)
            async with scripted(stream_id) as worker:
                worker.playlist("source/index.m3u8", PLAYLIST)
                worker.playlist("master.m3u8", b"#EXTM3U\n")
                worker.piece("source/part-9.m4s", PART)
                await worker.own(b, 1)
                stage = Stage(c, b, worker, stream_id, http)

                async def known() -> bool:
                    return all([(await stage.get("master.m3u8", n)).status_code == 200 for n in range(count)])

                await eventually(known)
                yield stage


async def test_a_worker_is_asked_once_however_many_wait(s: Stage) -> None:
    """A hundred viewers wait for a playlist and a part that are not there yet: one question each, the same answer for all."""
    for path in (NEXT, "source/part-10.m4s"):
        s.worker.holds[path] = asyncio.Event()
    async with httpx.AsyncClient(timeout=20, limits=httpx.Limits(max_connections=None)) as crowd:
        asked = [crowd.get(s.url(path)) for path in s.worker.holds for _ in range(100)]
        waiting = asyncio.gather(*asked)
        joined = await s.metric("ovation_hls_joined_total")

        async def all_wait() -> bool:
            return await s.metric("ovation_hls_joined_total") - joined >= 150

        await eventually(all_wait)
        s.worker.playlist(NEXT, PLAYLIST + b"#new\n", keep_s=6)
        s.worker.piece("source/part-10.m4s", PART)
        for hold in s.worker.holds.values():
            hold.set()
        answers = await waiting
    assert {(a.status_code, a.content) for a in answers} == {(200, PLAYLIST + b"#new\n"), (200, PART)}
    assert (s.worker.asked[NEXT], s.worker.asked["source/part-10.m4s"]) == (1, 1)
    # Who comes a little later is answered from memory.
    assert (await s.get(NEXT)).content == PLAYLIST + b"#new\n"
    assert s.worker.asked[NEXT] == 1


async def test_what_never_changes_outlives_its_worker(s: Stage) -> None:
    """A part comes from memory when the worker is dead; one that is in no memory is 503, which players ask for again."""
    assert (await s.get("source/part-9.m4s")).content == PART
    await s.worker.stop()
    again = await s.get("source/part-9.m4s")
    assert (again.status_code, again.content) == (200, PART)
    assert again.headers["cache-control"] == "public, max-age=31536000, immutable"
    missing = await s.get("source/part-8.m4s")
    assert (missing.status_code, missing.headers["retry-after"], missing.headers["cache-control"]) == (503, "1", "no-store")


async def test_a_part_that_is_not_there_yet_is_asked_for_again(s: Stage) -> None:
    """A 404 is kept by nobody: the same address is answered as soon as the worker has it."""
    early = await s.get("source/part-11.m4s")
    assert (early.status_code, early.headers["cache-control"]) == (404, "no-store")
    s.worker.piece("source/part-11.m4s", PART)
    assert (await s.get("source/part-11.m4s")).content == PART


@pytest.mark.parametrize("way", [(), ("If-None-Match: x",), ("Content-Length: 0",)])
async def test_ranges_head_and_cors(s: Stage, way: tuple[str, ...]) -> None:
    """RFC 9110: 206 with its Content-Range, 416 past the end, HEAD without a body; for pages of any origin, by either way."""

    async def ask(*lines: str, path: str = "source/part-9.m4s", method: str = "GET") -> Answer:
        return await s.raw(path, *way, *lines, method=method)

    size = len(PART)
    first = await ask("Range: bytes=0-9")
    assert (first.status, first.headers["content-range"], first.body) == (206, f"bytes 0-9/{size}", PART[:10])
    tail = await ask("Range: bytes=-5")
    assert (tail.status, tail.headers["content-range"], tail.body) == (206, f"bytes {size - 5}-{size - 1}/{size}", PART[-5:])
    rest = await ask(f"Range: bytes={size - 3}-")
    assert (rest.status, rest.body) == (206, PART[-3:])
    past = await ask(f"Range: bytes={size}-")
    assert (past.status, past.headers["content-range"], past.body) == (416, f"bytes */{size}", b"")
    for odd in ("bytes=5-2", "bytes=0-1,4-5", "lines=0-1", "bytes=-"):
        assert (await ask(f"Range: {odd}")).body == PART
    assert (await ask('If-Range: "x"', "Range: bytes=0-9")).status == 200
    head = await ask(method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(size), b"")
    assert head.headers["access-control-allow-origin"] == "*"
    assert head.headers["accept-ranges"] == "bytes"
    assert head.headers["content-type"] == "video/mp4"


async def test_a_page_elsewhere_may_ask_first(s: Stage) -> None:
    """A preflight for a range request is granted."""
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    asked["Access-Control-Request-Headers"] = "range"
    answer = await s.http.options(s.url("source/part-9.m4s"), headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert answer.headers["access-control-allow-headers"] == "range"
    assert (await s.http.post(s.url("source/part-9.m4s"))).status_code == 405


@pytest.mark.parametrize("s", [2], indirect=True)
async def test_two_gateways_give_the_same_bytes(s: Stage) -> None:
    """Heads and bodies, compressed or not, whole or in part: a load balancer may mix them."""
    s.worker.playlist(NEXT, PLAYLIST, keep_s=6)
    s.worker.piece("source/init-1.mp4", PART[:700])
    for path in ("master.m3u8", "source/index.m3u8", NEXT, "source/part-9.m4s", "source/init-1.mp4", "source/none.m4s"):
        for lines in ((), ("Accept-Encoding: gzip",), ("Range: bytes=3-600",)):
            one, two = [await s.raw(path, *lines, gateway=n) for n in (0, 1)]
            assert one == two
            if lines == ("Accept-Encoding: gzip",) and "index" in path:
                assert gzip.decompress(one.body) == PLAYLIST
                assert (one.headers["vary"], one.headers["content-encoding"]) == ("accept-encoding", "gzip")


async def test_caching_is_what_the_worker_said(s: Stage) -> None:
    """What a cache between may keep: parts for ever, a reload that names its part for seconds, a plain one never."""
    s.worker.playlist(NEXT, PLAYLIST, keep_s=6)
    assert (await s.get(NEXT)).headers["cache-control"] == "max-age=6"
    assert (await s.get("source/index.m3u8")).headers["cache-control"] == "no-cache"
    # The order of directives, and whatever else an address carries, make no other question.
    other = "source/index.m3u8?x=1&_HLS_part=3&_HLS_msn=7&utm=y"
    assert (await s.get(other)).content == PLAYLIST
    assert s.worker.asked[NEXT] == 1


async def test_a_plain_reload_is_never_older_than_what_has_passed(s: Stage) -> None:
    """A short memory for plain reloads ends when a newer playlist goes by."""
    assert (await s.get("source/index.m3u8")).content == PLAYLIST
    s.worker.playlist(NEXT, PLAYLIST + b"#newer\n", keep_s=6)
    s.worker.playlist("source/index.m3u8", PLAYLIST + b"#newer\n")
    await s.get(NEXT)
    assert (await s.get("source/index.m3u8")).content == PLAYLIST + b"#newer\n"


async def test_the_last_playlist_stays_while_nobody_owns_the_stream(s: Stage) -> None:
    """A dead worker's playlists stay; a blocked reload goes on with its successor; what the dead one knew is forgotten."""
    await s.get("source/index.m3u8")
    await s.worker.stop()
    frozen = await s.get("source/index.m3u8")
    assert (frozen.status_code, frozen.content, frozen.headers["cache-control"]) == (200, PLAYLIST, "no-cache")
    assert (await s.get("master.m3u8")).status_code == 200
    waiting = asyncio.create_task(s.get(NEXT))
    async with scripted(s.stream_id, "two") as successor:
        successor.playlist(NEXT, b"#EXTM3U\n#of the successor\n", keep_s=6)
        await successor.own(s.b, 2)
        assert (await waiting).content == b"#EXTM3U\n#of the successor\n"


async def test_a_blocked_reload_ends_with_the_last_playlist(s: Stage) -> None:
    """Nothing comes and nobody owns it: after some seconds the last playlist again, never an error."""
    await s.get("source/index.m3u8")
    await s.worker.stop()
    began = asyncio.get_running_loop().time()
    answer = await s.get(NEXT)
    assert (answer.status_code, answer.content) == (200, PLAYLIST)
    assert 4 < asyncio.get_running_loop().time() - began < 9


async def test_a_worker_that_gives_up_waiting_is_asked_for_what_it_has(s: Stage) -> None:
    """RFC 8216bis has it answer 503 after three target durations; the player gets the newest playlist, and stays."""
    await s.get("source/index.m3u8")
    s.worker.says[NEXT] = 503, "no-store", b""
    s.worker.playlist("source/index.m3u8", PLAYLIST + b"#with one part more\n")
    answer = await s.get(NEXT)
    assert (answer.status_code, answer.content) == (200, PLAYLIST + b"#with one part more\n")
    assert answer.headers["cache-control"] == "no-cache"


async def test_players_that_skip_leave_a_whole_playlist_behind(s: Stage) -> None:
    """Delta updates alone are asked for; what stays when the worker dies has everything."""
    for query in (NEXT, f"{NEXT}&_HLS_skip=YES"):
        s.worker.playlist(query, PLAYLIST + query.encode(), keep_s=6)
    assert (await s.get(f"{NEXT}&_HLS_skip=YES")).content.endswith(b"skip=YES")
    await eventually(lambda: s.worker.asked[NEXT] == 1)
    await s.worker.stop()
    await asyncio.sleep(0.2)  # the short memory of plain reloads
    assert (await s.get("source/index.m3u8")).content == PLAYLIST + NEXT.encode()


async def test_a_worker_that_lost_the_stream_is_not_believed(s: Stage) -> None:
    """It was stopped while it was asked; its successor answers, and what it says when it wakes goes to nobody."""
    await s.get("source/index.m3u8")
    s.worker.holds[NEXT] = asyncio.Event()
    waiting = asyncio.create_task(s.get(NEXT))
    await eventually(lambda: s.worker.asked[NEXT] == 1)
    async with scripted(s.stream_id, "two") as successor:
        successor.playlist(NEXT, b"#EXTM3U\n#new\n", keep_s=6)
        await successor.own(s.b, 2)
        await eventually(lambda: successor.asked[NEXT] == 1)
        s.worker.playlist(NEXT, b"#EXTM3U\n#old\n", keep_s=6)
        s.worker.holds[NEXT].set()
        assert (await waiting).content == b"#EXTM3U\n#new\n"
        assert (await s.get(NEXT)).content == b"#EXTM3U\n#new\n"


async def test_a_refusal_is_passed_on(s: Stage) -> None:
    """400 for a directive that makes no sense, 404 for a rendition that does not exist."""
    s.worker.says["source/index.m3u8?_HLS_part=3"] = 400, "no-store", b"part without msn"
    assert (await s.get("source/index.m3u8?_HLS_part=3")).status_code == 400
    assert (await s.get("4320p/index.m3u8")).status_code == 404
    for outside in ("../secret.m3u8", "%2e%2e/secret.m3u8", "a/b/c/d.m3u8", ".hidden.m3u8", "source/x.key"):
        assert (await s.raw(outside)).status == 404
    assert s.worker.asked.keys() <= {"master.m3u8", "source/index.m3u8?_HLS_part=3", "4320p/index.m3u8"}


async def test_who_may_not_watch_sees_nothing(s: Stage, tmp_path: Path) -> None:
    """A private stream is 404 for others, from memory too; for its own no cache between may keep anything."""
    private = await _stream(s.b, "private")
    async with scripted(private, "other") as worker:
        worker.piece("source/part-1.m4s", PART)
        worker.playlist("source/index.m3u8", PLAYLIST)
        await worker.own(s.b, 1)
        base = f"{s.c.url(0)}/hls/{private}/source"
        token = await _token(s)
        moderator = {"Authorization": f"Bearer {token}"}

        async def seen() -> bool:
            return (await s.http.get(f"{base}/part-1.m4s", headers=moderator)).status_code == 200

        await eventually(seen)
        own = await s.http.get(f"{base}/part-1.m4s", headers=moderator)
        assert own.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert (await s.http.get(f"{base}/index.m3u8", headers=moderator)).headers["cache-control"] == "private, no-cache"
        async with await Client(s.c.url(0)).guest() as guest:
            header = {"Authorization": guest.http.headers["Authorization"]}
            assert (await s.http.get(f"{base}/part-1.m4s", headers=header)).status_code == 404
        assert (await s.http.get(f"{base}/part-1.m4s")).status_code == 404
        assert (await s.http.get(f"{base}/index.m3u8")).status_code == 404


async def _token(s: Stage) -> str:
    claims = {"sub": "mo", "name": "Mo", "roles": ["moderator"], "aud": "ovation", "exp": int(time.time()) + 60}
    return jwt.encode(claims, str(s.c.gateways[0].settings["jwt_secret"]), algorithm="HS256")


async def test_a_stream_that_has_ended_is_in_its_files(s: Stage, tmp_path: Path) -> None:
    """Its playlists and segments come from the media folder."""
    ended = await _stream(s.b, status="ended")
    folder = tmp_path / "media" / ended / "source"
    folder.mkdir(parents=True)
    (folder / "index.m3u8").write_bytes(PLAYLIST + b"#EXT-X-ENDLIST\n")
    (folder / "segment-1.m4s").write_bytes(PART)
    base = f"{s.c.url(0)}/hls/{ended}/source"

    async def there() -> bool:
        return (await s.http.get(f"{base}/index.m3u8")).content == PLAYLIST + b"#EXT-X-ENDLIST\n"

    await eventually(there)
    assert (await s.http.get(f"{base}/segment-1.m4s")).content == PART
    assert (await s.http.get(f"{base}/segment-2.m4s")).status_code == 404


async def test_requests_in_one_breath_are_answered_in_order(s: Stage) -> None:
    """A pipeline of a blocked reload, a part, an API call and a part: four answers, in that order."""
    s.worker.holds[NEXT] = asyncio.Event()
    s.worker.playlist(NEXT, PLAYLIST, keep_s=6)
    paths = [f"/hls/{s.stream_id}/{NEXT}", f"/hls/{s.stream_id}/source/part-9.m4s", "/api/v1/streams"]
    async with wire(s.c.ports[0]) as line:
        line.send(b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in [*paths, paths[1]]))
        await eventually(lambda: s.worker.asked[NEXT] == 1)
        s.worker.holds[NEXT].set()
        answers = [await line.answer() for _ in range(4)]
        assert [a.body for a in answers if a.headers["content-type"] != "application/json"] == [PLAYLIST, PART, PART]
        assert answers[2].headers["content-type"] == "application/json"
        line.send(f"GET {paths[1]} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert (await line.answer()).headers["connection"] == "close"
        assert await line.ended()


async def test_who_takes_nothing_costs_nothing(s: Stage) -> None:
    """A thousand requests for a large segment at once by one who does not read: they wait; others are served; all come."""
    large = PART * 40
    s.worker.piece("source/segment-1.m4s", large)
    request = f"GET /hls/{s.stream_id}/source/segment-1.m4s HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    async with wire(s.c.ports[0]) as line:
        line.send(request * 30)
        assert (await s.get("source/part-9.m4s")).content == PART
        for _ in range(30):
            assert (await line.answer()).body == large
