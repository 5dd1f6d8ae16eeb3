"""Comments by the direct way: the same answers as by way of ASGI, and HTTP kept to the letter on the wire."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends.nats import NatsServer
from tests.cluster import Cluster, cluster
from tests.processes import Client
from tests.viewer import Viewer
from tests.waits import eventually
from tests.wires import wire

pytestmark = pytest.mark.nats


@pytest.fixture(name="c")
async def _c(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(nats_server, tmp_path) as running:
        yield running


def _request(ada: Client, stream_id: str, text: str, *headers: str, version: str = "1.1", target: str = "") -> bytes:
    body = json.dumps({"text": text}).encode()
    lines = [
        f"POST /api/v1/streams/{stream_id}/comments{target} HTTP/{version}",
        "Host: x",
        f"Authorization: {ada.http.headers['Authorization']}",
        *headers,
    ]
    if not any(header.lower().startswith("transfer-encoding") for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    else:
        body = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _at_once(port: int, who: Client, stream_id: str, own: dict[str, str], content: bytes) -> httpx.Response:
    """A post in one write; a library writes head and body apart."""
    headers = {"Host": "x", "Authorization": who.http.headers["Authorization"], "Content-Length": str(len(content))} | own
    head = [f"POST /api/v1/streams/{stream_id}/comments HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    async with wire(port) as connection:
        connection.send("\r\n".join(head).encode() + b"\r\n\r\n" + content)
        answer = await connection.answer()
    return httpx.Response(answer.status, headers=answer.headers, content=answer.body)


def _seen(answer: httpx.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    """An answer without what no two posts share."""
    own = {"x-trace-id", "content-length"}
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    assert len(answer.headers["x-trace-id"]) == 32
    lacking = {"comment_id", "seq", "created_at", "at", "user", "user_id"}
    return answer.status_code, headers, {name: value for name, value in answer.json().items() if name not in lacking}


async def test_it_answers_as_asgi_does(c: Cluster) -> None:
    """Good, repeated, refused and broken posts: status, headers and body are the same either way, in pieces and whole."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    cases: list[tuple[dict[str, str], bytes]] = [
        ({}, b'{"text": "hello"}'),
        ({"Origin": "https://elsewhere.example"}, b'{"text": "hello"}'),
        ({"Cookie": "ovation_session=nonsense", "Origin": "null"}, b'{"text": "hello"}'),
        ({"traceparent": trace}, b'{"text": "hello"}'),
        ({"traceparent": "nonsense"}, b'{"text": "\xc3\xa9"}'),
        ({"Idempotency-Key": "same"}, b'{"text": "hello"}'),
        ({"Idempotency-Key": "same"}, b'{"text": "hello"}'),
        ({"Idempotency-Key": "same"}, b'{"text": "other"}'),
        ({"Idempotency-Key": ""}, b'{"text": "hello"}'),
        ({"Idempotency-Key": "x" * 129}, b'{"text": "hello"}'),
        ({"Authorization": "Bearer nonsense"}, b'{"text": "hello"}'),
        ({"Authorization": "Basic nonsense"}, b"{"),
        ({"Authorization": ""}, b"{"),
        ({"Content-Type": "text/plain"}, b'{"text": "hello"}'),
        ({}, b""),
        ({}, b"{"),
        ({}, b"\xff"),
        ({}, b"[" * 15_000),
        ({}, b"{}"),
        ({}, b'{"text": "a", "parent_comment_id": []}'),
        ({}, b'{"text": "a", "parent_comment_id": "7"}'),
        ({}, b'{"text": "\\u0007"}'),
        ({}, b'{"text": "spoiler"}'),
        ({}, b'{"text": "' + b"x" * 501 + b'"}'),
        ({}, b'{"text": "' + b"x" * 20_000 + b'"}'),
    ]
    async with (
        await Client(c.url(0)).guest() as ada,
        await Client(c.url(0)).guest() as bob,
        await Client(c.url(0)).guest() as eve,
    ):
        stream_id = (await ada.start())["stream_id"]
        await ada.http.patch(f"/streams/{stream_id}", json={"settings": {"banned_words": ["spoiler"]}})
        ended = (await ada.start())["stream_id"]
        await ada.http.post(f"/streams/{ended}/end")
        unknown = stream_id[:-1] + ("0" if stream_id[-1] != "0" else "1")
        statuses = set()
        for where in (stream_id, ended, unknown):
            for headers, content in cases:
                # Each is a person of their own, so that keys do not meet; the query is what makes one unusual.
                direct, usual = [
                    await who.http.post(f"/streams/{where}/comments{query}", content=content, headers=headers)
                    for who, query in ((ada, ""), (bob, "?x"))
                ]
                whole = await _at_once(c.ports[0], eve, where, headers, content)
                assert _seen(usual) == _seen(direct) == _seen(whole), (headers, content[:40])
                assert (headers.get("traceparent") == trace) == (direct.headers["x-trace-id"] == trace[3:35])
                statuses.add(direct.status_code)
        assert {200, 201, 400, 401, 404, 409, 413, 422} == statuses


async def test_a_recorded_trace_is_found_in_the_log(c: Cluster, tmp_path: Path) -> None:
    """Whoever samples a trace finds its requests here, by either way; others leave no line. No credential is in it."""
    ids = {name: f"{number:032x}" for number, name in enumerate(("get", "post", "other"), 1)}
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        traced = {name: {"traceparent": f"00-{ids[name]}-{1:016x}-{int(name != 'other'):02x}"} for name in ids}
        ticket = (await ada.http.post(f"/streams/{stream_id}/ticket")).json()["ticket"]
        await ada.http.get(f"/streams/{stream_id}?ticket={ticket}", headers=traced["get"])
        for name in ("other", "post"):
            await ada.http.post(f"/streams/{stream_id}/comments", json={"text": "hello"}, headers=traced[name])
        token = ada.http.headers["Authorization"].split()[1]
    text = (tmp_path / "gateway-0.log").read_text()
    requests = [line for line in map(json.loads, text.splitlines()) if line["event"] == "request"]

    assert [(line["trace_id"], line["method"], line["status"]) for line in requests] == [
        (ids["get"], "GET", 200),
        (ids["post"], "POST", 201),
    ]
    assert not [secret for secret in (ticket, token) if secret in text]


async def test_pipelined_posts_are_answered_in_order(c: Cluster) -> None:
    """Whatever way each of them goes, and however the bytes are cut."""
    async with await Client(c.url(0)).guest() as ada, wire(c.ports[0]) as connection:
        stream_id = (await ada.start())["stream_id"]
        said = b"".join(
            _request(ada, stream_id, f"n{n}", target="?x" if n % 3 == 1 else "")
            if n % 3
            else f"GET /api/v1/streams/{stream_id}?n={n} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            for n in range(60)
        )
        for start in range(0, len(said), 1371):
            connection.send(said[start : start + 1371])
        for n in range(60):
            answer = await connection.answer()
            assert answer.status == (201 if n % 3 else 200)
            found = json.loads(answer.body)
            assert found["text" if n % 3 else "stream_id"] == (f"n{n}" if n % 3 else stream_id)
        page = (await ada.http.get(f"/streams/{stream_id}/comments?limit=200&sort=asc")).json()
        assert [f"n{n}" for n in range(60) if n % 3] == [comment["text"] for comment in page["comments"]]


async def test_bodies_in_pieces(c: Cluster) -> None:
    """Chunked, a byte at a time; asked for with 100-continue; too large and never ending."""
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        async with wire(c.ports[0]) as connection:
            for byte in _request(ada, stream_id, "slowly", "Transfer-Encoding: chunked"):
                connection.send(bytes([byte]))
                await connection.writer.drain()
            assert "slowly" == json.loads((await connection.answer()).body)["text"]

            head, _, body = _request(ada, stream_id, "asked", "Expect: 100-continue").partition(b"\r\n\r\n")
            connection.send(head + b"\r\n\r\n")
            assert 100 == (await connection.answer()).status
            connection.send(body)
            assert "asked" == json.loads((await connection.answer()).body)["text"]

            head, _, _ = _request(ada, stream_id, "", "Transfer-Encoding: chunked").partition(b"\r\n\r\n")
            connection.send(head + b"\r\n\r\n" + b"1000\r\n" + b"x" * 0x1000 + b"\r\n" + b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            answer = await connection.answer()
            assert (413, "PAYLOAD_TOO_LARGE") == (answer.status, json.loads(answer.body)["code"])


async def test_connections_end_when_they_should(c: Cluster) -> None:
    """HTTP/1.0 and `Connection: close` are told so and closed; otherwise the connection is kept."""
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        for request in (
            _request(ada, stream_id, "old", version="1.0"),
            _request(ada, stream_id, "last", "Connection: close"),
        ):
            async with wire(c.ports[0]) as connection:
                connection.send(request)
                answer = await connection.answer()
                assert (201, "close") == (answer.status, answer.headers["connection"])
                assert await connection.ended()
        async with wire(c.ports[0]) as connection:
            for n in range(3):
                connection.send(_request(ada, stream_id, f"kept {n}"))
                answer = await connection.answer()
                assert 201 == answer.status
                assert "connection" not in answer.headers


async def test_who_leaves_half_way_posts_nothing(c: Cluster) -> None:
    """Half a body is no comment; the next one is."""
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        for cut in (1, 10, 17):
            async with wire(c.ports[0]) as connection:
                connection.send(_request(ada, stream_id, "half of it")[:-cut])
                await connection.writer.drain()
        assert 201 == (await ada.post(stream_id, "whole")).status_code
        page = (await ada.http.get(f"/streams/{stream_id}/comments")).json()
        assert ["whole"] == [comment["text"] for comment in page["comments"]]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02nonsense\r\n\r\n",
        b"GET /api/v1/streams HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /api/v1/streams/start HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"GET /api/v1/str\x00eams HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/streams HTTP/9.9\r\nHost: x\r\n\r\n",
    ],
    ids=["garbage", "two lengths", "no length", "nul", "70 kB", "version"],
)
async def test_what_is_no_http_is_a_problem_too(c: Cluster, nonsense: bytes) -> None:
    """Refused with a problem document and closed; requests before it on the same connection get their answers first."""
    async with await Client(c.url(0)).guest() as ada, wire(c.ports[0]) as connection:
        stream_id = (await ada.start())["stream_id"]
        connection.send(_request(ada, stream_id, "one") + _request(ada, stream_id, "two") + nonsense)
        answers = [await connection.answer() for _ in range(3)]
        assert await connection.ended()

        assert [201, 201, 400] == [answer.status for answer in answers]
        assert ["one", "two"] == [json.loads(answer.body)["text"] for answer in answers[:2]]
        assert "application/problem+json" == answers[2].headers["content-type"]
        assert (400, "VALIDATION") == (json.loads(answers[2].body)["status"], json.loads(answers[2].body)["code"])


async def test_a_post_under_way_outlives_the_shutdown(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """SIGTERM while the log is still to answer: the comment is acknowledged, then the connection ends."""
    async with cluster(own_nats_server, tmp_path, drain_s=0) as c:
        async with await Client(c.url(0)).guest() as ada, wire(c.ports[0]) as connection:
            stream_id = (await ada.start())["stream_id"]
            connection.send(_request(ada, stream_id, "first"))
            assert 201 == (await connection.answer()).status
            own_nats_server.pause()
            connection.send(_request(ada, stream_id, "last"))
            await connection.writer.drain()
            c.gateways[0].signal(signal.SIGTERM)
            await eventually(lambda: _refuses(c.ports[0]))
            own_nats_server.resume()

            assert 201 == (await connection.answer()).status
            assert await connection.ended()
            assert 0 == await asyncio.to_thread(c.gateways[0].wait)


async def test_an_author_is_told_that_the_stream_is_sampled(nats_server: NatsServer, tmp_path: Path) -> None:
    """While it is, and of a comment that is not shown to everybody anyhow; by either way, and to a retry."""
    async with (
        cluster(nats_server, tmp_path, archive=False, policy="0:50:1000:0.5:0") as c,
        await Client(c.url(0)).guest() as creator,
        await Client(c.url(0)).guest() as ada,
    ):
        watched, unwatched = [(await creator.start())["stream_id"] for _ in range(2)]
        await Viewer(c.events(0, watched)).open()

        async def told(who: Client, stream_id: str, query: str = "") -> list[object]:
            posts = [
                await who.http.post(
                    f"/streams/{stream_id}/comments{query}", json={"text": "hello"}, headers={"Idempotency-Key": f"key{query}"}
                )
                for _ in range(2)
            ]
            assert {answer.status_code for answer in posts} <= {200, 201}
            return [answer.json()["sampled"] for answer in posts]

        assert [True, True, True, True] == [*await told(ada, watched), *await told(ada, watched, "?x")]
        assert [False, False] == await told(creator, watched)
        assert [False, False] == await told(ada, unwatched)


async def _refuses(port: int) -> bool:
    try:
        async with wire(port):
            return False
    except ConnectionRefusedError:
        return True
