"""What the gateway's answers are on the wire, from memory or not, by its own way or by way of ASGI."""

import asyncio
import gzip
import time
from pathlib import Path

import jwt
import pytest

from tests.hls.scripted import scripted
from tests.hls.stage import NEXT, PART, PLAYLIST, Stage, new_stream
from tests.processes import Client
from tests.waits import eventually
from tests.wires import Answer, wire

pytestmark = pytest.mark.nats


@pytest.mark.parametrize("way", [(), ("If-None-Match: x",), ("Content-Length: 0",)])
async def test_ranges_head_and_cors(s: Stage, way: tuple[str, ...]) -> None:
    """RFC 9110: 206 with its Content-Range, 416 past the end, HEAD without a body; for pages of any origin, by either way."""

    async def ask(*lines: str, path: str = "source/part-9.m4s", method: str = "GET") -> Answer:
        return await s.raw(path, *way, *lines, method=method)

    size = len(PART)
    first = await ask("Range: bytes=0-9")
    assert (first.status, first.headers["content-range"], first.body) == (206, f"bytes 0-9/{size}", PART[:10])
    assert (await ask("Range: Bytes=0-9")).body == first.body
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
    for refused in ("gzip; q=0", "identity"):
        assert (await s.raw("source/index.m3u8", f"Accept-Encoding: {refused}")).body == PLAYLIST


async def test_caching_is_what_the_worker_said(s: Stage) -> None:
    """What a cache between may keep: parts for ever, a reload that names its part for seconds, a plain one never."""
    s.worker.playlist(NEXT, PLAYLIST, keep_s=6)
    assert (await s.get(NEXT)).headers["cache-control"] == "max-age=6"
    assert (await s.get("source/index.m3u8")).headers["cache-control"] == "no-cache"
    # The order of directives, and whatever else an address carries, make no other question.
    other = "source/index.m3u8?x=1&_HLS_part=3&_HLS_msn=7&utm=y"
    assert (await s.get(other)).content == PLAYLIST
    assert other not in s.worker.asked


async def test_a_refusal_is_passed_on(s: Stage) -> None:
    """400 for a directive that makes no sense, 404 for a rendition that does not exist."""
    s.worker.says["source/index.m3u8?_HLS_part=3"] = 400, "no-store", b"part without msn"
    assert (await s.get("source/index.m3u8?_HLS_part=3")).status_code == 400
    assert (await s.get("4320p/index.m3u8")).status_code == 404
    for outside in ("../secret.m3u8", "%2e%2e/secret.m3u8", "a/b/c/d.m3u8", ".hidden.m3u8", "source/x.key"):
        assert (await s.raw(outside)).status == 404
    assert s.worker.asked.keys() <= {"master.m3u8", "source/index.m3u8?_HLS_part=3", "4320p/index.m3u8"}


async def test_directives_that_make_no_sense_are_refused(s: Stage) -> None:
    """Whatever is no number, or is said twice, is the worker's to refuse; all of it is one question. No word is no skip."""
    index = "source/index.m3u8"
    s.worker.says[f"{index}?_HLS_msn=none"] = 400, "no-store", b"no number"
    for query in ("msn=-1", "msn=1.5", "msn=", "msn=12345678901234567", "msn=x&_HLS_part=1", "msn=7&_HLS_msn=8"):
        assert (await s.get(f"{index}?_HLS_{query}")).status_code == 400
    assert (await s.get(f"{index}?_HLS_skip=maybe")).content == PLAYLIST
    assert not {asked for asked in s.worker.asked if "skip" in asked or "-1" in asked}


async def test_who_may_not_watch_sees_nothing(s: Stage, tmp_path: Path) -> None:
    """A private stream is 404 for others, from memory too; for its own no cache between may keep anything."""
    private = await new_stream(s.b, "private")
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
