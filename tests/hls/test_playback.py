"""Video of a stream that is not public: by an address that is signed, by a credential, and not at all."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from tests.backends.nats import NatsServer
from tests.broker import broker
from tests.cluster import cluster
from tests.hls.scripted import Scripted, scripted
from tests.hls.stage import NEXT, PART, PLAYLIST, Stage
from tests.privacy import People, people, token
from tests.processes import Client
from tests.waits import eventually
from tests.wires import Answer, wire

pytestmark = [pytest.mark.nats, pytest.mark.asyncio(loop_scope="module")]

PIECE = "source/part-1.m4s"
#: The contract says 2 s, which two busy cores may miss.
CUT_S = 6.0


@pytest_asyncio.fixture(name="s", scope="module", loop_scope="module")
async def _s(nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Two gateways for all tests of this file, which log what they can."""
    folder = tmp_path_factory.mktemp("playback")
    settings = {"archive": False, "media_url": f"file://{folder}/media", "log_level": "debug", "limit_grants": "1000/1"}
    async with cluster(nats_server, folder, gateways=2, **settings) as c:  # type: ignore[arg-type]  # each is of its own type
        async with broker(nats_server.url, apply=False) as b, httpx.AsyncClient(timeout=40) as http:
            yield Stage(c, b, Scripted("", ""), "", http)


@asynccontextmanager
async def _private(s: Stage, *names: str) -> AsyncIterator[tuple[People, Scripted, str, str]]:
    """A private stream with video, to which Bea is invited; its id and the folder of her address."""
    async with people(s.c, "bea", *names) as p:
        stream_id = await p.start("private")
        await p.invite(stream_id, "bea")
        async with scripted(stream_id, "other") as worker:
            worker.piece(PIECE, PART)
            worker.playlist("master.m3u8", b"#EXTM3U\n")
            worker.playlist("source/index.m3u8", PLAYLIST)
            await worker.own(s.b, 1)
            folder = (await p.hls_url("bea", stream_id)).removesuffix("master.m3u8")

            async def plays() -> bool:
                return all([(await s.http.get(_on(s, n, folder) + PIECE)).status_code == 200 for n in range(len(s.c.ports))])

            await eventually(plays)
            yield p, worker, stream_id, folder


def _on(s: Stage, gateway: int, url: str) -> str:
    return s.c.url(gateway) + urlsplit(url).path


async def _raw(s: Stage, url: str, *lines: str, method: str = "GET") -> Answer:
    async with wire(s.c.ports[0]) as line:
        line.send("\r\n".join([f"{method} {urlsplit(url).path} HTTP/1.1", "Host: x", *lines]).encode() + b"\r\n\r\n")
        return await line.answer()


@pytest.mark.parametrize("way", [(), ("If-None-Match: x",), ("Authorization: Bearer none",)])
async def test_a_signed_address_plays(s: Stage, way: tuple[str, ...]) -> None:
    """Playlists, parts and ranges, by either way; whatever else comes with it; and no cache between may keep anything."""
    async with _private(s) as (_, _, _, folder):
        assert re.search(r"/hls/[0-9a-f-]{36}/~[0-9]+\.v[0-9a-f]{32}\.[A-Za-z0-9_-]{43}/$", folder)
        for path, body in (("master.m3u8", b"#EXTM3U\n"), ("source/index.m3u8", PLAYLIST), (PIECE, PART)):
            answer = await _raw(s, folder + path, *way)
            assert (answer.status, answer.body) == (200, body)
            assert answer.headers["cache-control"].startswith("private, ")
            assert answer.headers["access-control-allow-origin"] == "*"
        piece = await _raw(s, folder + PIECE, *way, "Range: bytes=0-9")
        assert (piece.status, piece.body) == (206, PART[:10])


async def test_it_is_answered_from_memory_without_asgi(s: Stage) -> None:
    """Once it is known that its holder may watch, as public video is: by the protocol itself, which sends no trace id."""
    async with _private(s) as (_, _, _, folder):
        hits = await s.metric("ovation_hls_cached_total")
        for _ in range(3):
            answer = await _raw(s, folder + PIECE)
            assert (answer.status, "x-trace-id" in answer.headers) == (200, False)
        assert await s.metric("ovation_hls_cached_total") == hits + 3
        by_asgi = await _raw(s, folder + PIECE, "If-None-Match: x", "Content-Length: 0")
        assert "x-trace-id" in by_asgi.headers


async def test_what_is_not_an_address_of_this_stream_is_nothing(s: Stage) -> None:
    """Touched, of another stream, of no form, or none: the same 404 as for a stream that does not exist, byte for byte."""
    async with _private(s) as (p, _, stream_id, folder):
        other = await p.start("private")
        await p.invite(other, "bea")
        signed = folder.rstrip("/").rpartition("/")[2]
        expiry, claims, signature = signed[1:].split(".")
        wrong = [
            f"~{int(expiry) + 1}.{claims}.{signature}",
            f"~{expiry}.m{claims[1:]}.{signature}",
            f"~{expiry}.{claims}.{signature[:-1]}{'A' if signature[-1] != 'A' else 'B'}",
            f"~{expiry}.{claims}",
            "~",
            "~~",
            (await p.hls_url("bea", other)).split("/")[-2],
        ]
        nowhere = "0190aaaa-0000-7000-8000-00000000dead"
        expected = await _raw(s, f"{s.c.url(0)}/hls/{nowhere}/{signed}/{PIECE}")
        assert expected.status == 404
        mo = f"Authorization: {p['mo'].http.headers['Authorization']}"
        for each in wrong:
            # A moderator's own credential does not mend it.
            for lines in ((), (mo,)):
                answer = await _raw(s, f"{s.c.url(0)}/hls/{stream_id}/{each}/{PIECE}", *lines)
                assert (answer.status, answer.body) == (404, expected.body), each
        for bare in (PIECE, "master.m3u8", "source/index.m3u8"):
            assert (await _raw(s, f"{s.c.url(0)}/hls/{stream_id}/{bare}")).body == expected.body
            assert (await _raw(s, f"{s.c.url(0)}/hls/{stream_id}/{bare}", mo)).status == 200
        # Once is enough: behind a token there is no second one.
        assert (await _raw(s, f"{folder}{signed}/{PIECE}")).status == 404


async def test_an_address_ends_with_its_holders_right(s: Stage) -> None:
    """Uninvited, its addresses end on both gateways within 2 s, from memory too; others' go on; invited again, they hold."""
    async with _private(s, "cid") as (p, _, stream_id, folder):
        await p.invite(stream_id, "cid")
        others = [(await p.hls_url(name, stream_id)).removesuffix("master.m3u8") for name in ("cid", "mo", "ada")]

        async def answers(url: str, status: int) -> bool:
            return all([(await s.http.get(_on(s, n, url) + PIECE)).status_code == status for n in (0, 1)])

        for url in others:
            assert await answers(url, 200)
        await p.invite(stream_id, "bea", invited=False)
        await eventually(lambda: answers(folder, 404), timeout=CUT_S)
        assert (await p["bea"].http.get(f"/streams/{stream_id}/watch")).status_code == 404
        for url in others:
            assert await answers(url, 200)
        await p.invite(stream_id, "bea")
        await eventually(lambda: answers(folder, 200), timeout=CUT_S)
        await p.privacy(stream_id, "followers")
        await eventually(lambda: answers(folder, 404), timeout=CUT_S)
        await p.follow("bea")
        await eventually(lambda: answers(folder, 200), timeout=CUT_S)


async def test_bare_addresses_end_with_being_public(s: Stage) -> None:
    """Within 2 s on both gateways, from memory too; the signed ones that are asked for now play; and back again."""
    async with _private(s) as (p, _, stream_id, folder):
        bare = f"/hls/{stream_id}/"

        async def answers(url: str, status: int) -> bool:
            return all([(await s.http.get(_on(s, n, url) + PIECE)).status_code == status for n in (0, 1)])

        await p.privacy(stream_id, "public")
        await eventually(lambda: answers(s.c.url(0) + bare, 200), timeout=CUT_S)
        assert urlsplit(await p.hls_url("bea", stream_id)).path == f"{bare}master.m3u8"
        assert await answers(folder, 200)
        await p.privacy(stream_id, "private")
        await eventually(lambda: answers(s.c.url(0) + bare, 404), timeout=CUT_S)
        assert await answers(folder, 200)


async def test_an_address_ends_with_the_credential(s: Stage) -> None:
    """It lives as long as the token it was asked for with, and says so; then it is 404, and another one is asked for."""
    async with _private(s, "cid") as (p, _, stream_id, _):
        await p.invite(stream_id, "cid")
        async with Client(s.c.url(0), token(s.c, p.id("cid"), lives_s=4)) as cid:
            watch = (await cid.http.get(f"/streams/{stream_id}/watch")).json()
        assert int(re.search(r"/~([0-9]+)\.", watch["hls_url"])[1]) - time.time() <= 4  # type: ignore[index]  # it is there
        assert watch["expires_at"] is not None
        folder = watch["hls_url"].removesuffix("master.m3u8")
        assert (await s.http.get(folder + PIECE)).status_code == 200

        async def over() -> bool:
            return (await s.http.get(folder + PIECE)).status_code == 404

        await eventually(over)


async def test_the_signature_is_in_no_log(s: Stage) -> None:
    """Neither of requests that are answered, nor of those that are not, at any level; nor in an answer's headers."""
    async with _private(s) as (p, worker, stream_id, folder):
        signature = folder.rstrip("/").rpartition(".")[2]
        worker.says["source/broken.m3u8"] = 500, "no-store", b"?"
        for path in (PIECE, "source/broken.m3u8", "source/none.m4s", "..%2f", "x"):
            for method in ("GET", "HEAD", "POST", "DELETE"):
                answer = await s.http.request(method, folder + path)
                assert signature not in f"{answer.headers} {answer.text}"
        await p.invite(stream_id, "bea", invited=False)
        await s.http.get(folder + PIECE)
        assert stream_id in s.c.gateways[0].text
        assert signature not in s.c.gateways[0].text


async def test_many_ask_at_once_and_one_is_asked(s: Stage) -> None:
    """What nobody knows yet is asked for once, however many wait for it; a wrong address costs no question at all."""
    async with _private(s, "cid") as (p, _, stream_id, folder):
        await p.invite(stream_id, "cid")
        url = await p.hls_url("cid", stream_id)
        gets = await s.metric("ovation_grants_asked_total")
        answers = await asyncio.gather(*(s.http.get(url) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert await s.metric("ovation_grants_asked_total") - gets <= 1
        wrong = folder.replace("~", "~1")
        gets = await s.metric("ovation_grants_asked_total")
        assert {(await s.http.get(wrong + PIECE)).status_code for _ in range(5)} == {404}
        assert await s.metric("ovation_grants_asked_total") == gets


async def test_httpx_follows_relative_addresses(s: Stage) -> None:
    """What a playlist names relative to itself carries the signature."""
    async with _private(s) as (_, _, _, folder):
        index = httpx.URL(folder + "source/index.m3u8")
        assert (await s.http.get(index.join("part-1.m4s"))).status_code == 200
        # A reload with a directive too.
        assert (await s.http.get(f"{folder}{NEXT}")).status_code in (200, 404, 503)
