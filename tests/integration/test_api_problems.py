"""Bad input gives a clear problem each: never a traceback, never HTML, and the field at fault is named."""

import asyncio
import base64
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from tests.backends.nats import NatsServer
from tests.cluster import Cluster, cluster
from tests.processes import Client
from tests.waits import PATIENCE_S

pytestmark = pytest.mark.nats

SECRET = secrets.token_hex(32)


@pytest.fixture(name="c")
async def _c(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(nats_server, tmp_path, jwt_secret=SECRET) as running:
        yield running


def _problem(answer: httpx.Response) -> tuple[int, str, str | None]:
    problem: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "retryable"} <= set(problem)
    assert problem["status"] == answer.status_code
    return answer.status_code, problem["code"], problem.get("field")


def _token(**claims: object) -> str:
    whole = {"sub": "ada", "name": "Ada", "aud": "ovation", "exp": int(time.time()) + 600, **claims}
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, SECRET, algorithm="HS256")


async def test_bodies(c: Cluster) -> None:
    """Broken, deep, wrong and oversized bodies are refused; null says as much as a field that is left out."""
    async with await Client(c.url(0)).guest() as ada:
        bare = await ada.http.post("/streams/start", json={"title": "t", "description": None, "scheduled_for": None})
        stream_id = bare.json()["stream_id"]
        assert "" == (await ada.http.get(f"/streams/{stream_id}")).json()["description"]
        url = f"/streams/{stream_id}/comments"

        async def post(content: bytes) -> tuple[int, str, str | None]:
            return _problem(await ada.http.post(url, content=content))

        for broken in (b"", b"{", b"nonsense", b'{"text":"a"', b"\xff\xfe", b'{"text": "\\ud800"}', b"[" * 15_000):
            assert (await post(broken))[:2] in ((400, "VALIDATION"), (422, "VALIDATION"))
        for wrong, field in (
            (b"{}", "text"),
            (b'{"text": 5}', "text"),
            (b'{"text": null}', "text"),
            (b'{"text": "a", "parent_comment_id": []}', "parent_comment_id"),
            (b'{"text": "\\u0007"}', "text"),
            (b'{"text": "   "}', "text"),
            (json.dumps({"text": "x" * 501}).encode(), "text"),
        ):
            assert (422, "VALIDATION", field) == await post(wrong)
        assert (413, "PAYLOAD_TOO_LARGE", None) == await post(b'{"text": "' + b"x" * 20_000 + b'"}')


async def _send_on(writer: asyncio.StreamWriter, size: int) -> None:
    for _ in range(size // 65536):
        writer.write(b"x" * 65536)
        await writer.drain()


async def test_ten_megabytes_are_refused_unread(c: Cluster) -> None:
    """The answer comes after the head of the request: the body is not waited for, and whoever sends on is cut off."""
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        reader, writer = await asyncio.open_connection("127.0.0.1", c.ports[0])
        head = (
            f"POST /api/v1/streams/{stream_id}/comments HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: {ada.http.headers['Authorization']}\r\nContent-Length: 10485760\r\n\r\n"
        )
        writer.write(head.encode() + b"{")
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.readuntil(b"\r\n\r\n")
            with pytest.raises(ConnectionError):
                await _send_on(writer, 10485759)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_ids_and_paths(c: Cluster) -> None:
    """What is no stream, no comment and no path: 404 documents, wildcards included; wrong methods 405."""
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        for bad in ("nope", "*", "%3E", "a.b", "018bcfe5-6800-7bb6-bc13-d949c5118ce2", "%00", "x" * 2000):
            for path in (f"/streams/{bad}", f"/streams/{bad}/comments", f"/streams/{bad}/watch"):
                assert (404, "NOT_FOUND") == _problem(await ada.http.get(path))[:2]
            assert (404, "NOT_FOUND") == _problem(await ada.post(bad, "hello"))[:2]
        for bad in ("*", "-1", "9" * 30, "abc"):
            assert (404, "NOT_FOUND") == _problem(await ada.http.get(f"/streams/{stream_id}/comments/{bad}"))[:2]
        for nothing in ("/nope", f"{c.url(0)}/api", f"{c.url(0)}/api/v1"):
            assert (404, "NOT_FOUND") == _problem(await ada.http.get(nothing))[:2]
        refused = await ada.http.put(f"/streams/{stream_id}")
        assert refused.headers["allow"] == "DELETE, GET, HEAD, PATCH"
        assert (405, "METHOD_NOT_ALLOWED") == _problem(await ada.http.put(f"/streams/{stream_id}"))[:2]
        for method in ("HEAD", "POST", "DELETE"):
            refused = await ada.http.request(method, f"/streams/{stream_id}/events")
            assert (405, "GET") == (refused.status_code, refused.headers["allow"])
        assert (405, "METHOD_NOT_ALLOWED") == _problem(await ada.http.post(f"/streams/{stream_id}/events"))[:2]
        for method in ("HEAD", "POST", "DELETE"):
            refused = await ada.http.request(method, "/ws")
            assert (405, "GET") == (refused.status_code, refused.headers["allow"])
        for path in ("/streams/", f"/streams/{stream_id}/", f"/streams/{stream_id}/comments/"):
            assert (404, "NOT_FOUND") == _problem(await ada.http.get(path))[:2]
            assert (404, "NOT_FOUND") == _problem(await ada.http.post(path, json={"text": "x"}))[:2]
        page = await ada.http.get(f"{c.url(0)}/watch/{stream_id}/")
        assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])


async def test_credentials(c: Cluster) -> None:
    """None, bad, expired, foreign and unsigned tokens are 401; the cookie and a ticket only read."""
    none = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in ({"alg": "none"}, {"sub": "a", "aud": "ovation", "exp": 2**31})
    )
    bad = [
        "nonsense",
        f"{none}.",
        _token(exp=int(time.time()) - 1),
        _token(aud="other"),
        _token(aud="ovation-ticket"),
        _token(exp=None),
        _token(sub=None),
        _token(sub="a b"),
        jwt.encode({"sub": "a", "aud": "ovation", "exp": 2**31}, "x" * 64, algorithm="HS256"),
        jwt.encode({"sub": "a", "aud": "ovation", "exp": 2**31}, SECRET, algorithm="HS512"),
    ]
    async with httpx.AsyncClient(base_url=f"{c.url(0)}/api/v1") as http:
        for token in bad:
            answer = await http.post("/streams/start", json={"title": "t"}, headers={"Authorization": f"Bearer {token}"})
            assert (401, "UNAUTHORIZED") == _problem(answer)[:2]
        assert (401, "UNAUTHORIZED") == _problem(await http.post("/streams/start", json={"title": "t"}))[:2]
        good = {"Authorization": f"Bearer {_token()}"}
        stream_id = (await http.post("/streams/start", json={"title": "t"}, headers=good)).json()["stream_id"]
        session = await http.post("/session", json={"name": "Cookie"})
        assert "HttpOnly" in session.headers["set-cookie"]
        assert "SameSite=Lax" in session.headers["set-cookie"]
        by_cookie = await http.post(f"/streams/{stream_id}/comments", json={"text": "x"})
        ticket = (await http.post(f"/streams/{stream_id}/ticket", headers=good)).json()["ticket"]
        http.cookies.clear()
        by_ticket = await http.post(f"/streams/{stream_id}/comments?ticket={ticket}", json={"text": "x"})
        elsewhere = await http.get(f"/streams/{stream_id[:-4]}0000?ticket={ticket}")

        assert by_cookie.status_code == by_ticket.status_code == elsewhere.status_code == 401
        assert 200 == (await http.get(f"/streams/{stream_id}?ticket={ticket}")).status_code
        for exp, status in ((time.time() + 600.5, 200), (time.time() - 0.5, 401), (float("inf"), 401), (True, 401)):
            fraction = {"Authorization": f"Bearer {_token(exp=exp)}"}
            assert status == (await http.get(f"/streams/{stream_id}", headers=fraction)).status_code


async def test_times_that_cannot_be_written_stop_nothing(c: Cluster) -> None:
    """In UTC these are in the years 0 and 10000: refused, and every list of streams answers as before."""
    async with await Client(c.url(0)).guest() as ada:
        for edge in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
            answer = await ada.http.post("/streams/start", json={"title": "t", "scheduled_for": edge})
            assert (422, "VALIDATION", "scheduled_for") == _problem(answer)
        assert 200 == (await ada.http.get("/streams")).status_code


async def test_titles_are_cleaned_like_all_text(c: Cluster) -> None:
    """Nothing invisible, nothing that turns the line around, on one line; what is left must be something."""
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        for bad in ("a\0b", "\x1b[31m", "\u202e\u200b", " \n "):
            assert (422, "VALIDATION", "title") == _problem(await ada.http.post("/streams/start", json={"title": bad}))
            assert (422, "VALIDATION", "title") == _problem(await ada.http.patch(f"/streams/{stream_id}", json={"title": bad}))
        changed = await ada.http.patch(f"/streams/{stream_id}", json={"title": " A\u202e\nday "})
        assert changed.json()["title"] == "A day"


async def test_scripts_elsewhere_may_send_headers_of_their_own(c: Cluster) -> None:
    """Fetch-based clients of events add Cache-Control, others a trace: a preflight lets them; cookies never count."""
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    asked["Access-Control-Request-Headers"] = "cache-control,last-event-id,traceparent"
    async with httpx.AsyncClient(base_url=f"{c.url(0)}/api/v1") as http:
        answer = await http.options("/streams/x/events", headers=asked)
        assert answer.status_code == 200
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_preflight_is_refused_like_everything_else(c: Cluster) -> None:
    """A method nobody has, or a page that reaches into a private network: a problem document, which scripts may read."""
    origin = {"Origin": "https://a.example"}
    async with httpx.AsyncClient(base_url=f"{c.url(0)}/api/v1") as http:
        trace = await http.options("/streams", headers=origin | {"Access-Control-Request-Method": "TRACE"})
        assert (405, "METHOD_NOT_ALLOWED") == _problem(trace)[:2]
        assert ("*", "GET, POST, PUT, PATCH, DELETE") == (trace.headers["access-control-allow-origin"], trace.headers["allow"])
        within = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Private-Network": "true"}
        assert (403, "FORBIDDEN") == _problem(await http.options("/streams", headers=origin | within))[:2]


async def test_a_stream_that_has_not_begun_says_so(c: Cluster) -> None:
    """409 CONFLICT has several causes; its title fits all of them."""
    async with await Client(c.url(0)).guest() as ada:
        later = await ada.http.post("/streams/start", json={"title": "t", "scheduled_for": "2999-01-01T00:00:00Z"})
        answer = await ada.post(later.json()["stream_id"], "early")
        assert (409, "CONFLICT") == _problem(answer)[:2]
        assert "not started" in answer.json()["detail"]
        assert answer.json()["title"] == "Not possible as things are now"


async def test_events_are_found_by_their_whole_address(c: Cluster) -> None:
    """A proxy's client sends the absolute form (RFC 9112, 3.2.2), another encodes too much; what follows is nobody's."""
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
    address = httpx.URL(c.url(0))
    events = f"/api/v1/streams/{stream_id}/events?backfill=0"
    encoded = events.replace("-", "%2D").replace("events", "%65vents")
    for target, times in ((f"{c.url(0)}{events}", 1), (encoded, 1), (events, 2)):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode() * times)
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"text/event-stream" in head
            assert b'"items":[]' in await reader.readuntil(b'items":[]')
        writer.close()


async def test_what_is_not_there_yet_is_refused(c: Cluster) -> None:
    """Settings that would not hold are not taken."""
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        for setting in ({"shield": True}, {"moderation": "hold"}):
            answer = await ada.http.patch(f"/streams/{stream_id}", json={"settings": setting})
            assert (422, "VALIDATION", f"settings.{next(iter(setting))}") == _problem(answer)
        answer = await ada.http.post("/streams/start", json={"title": "t", "privacy": "secret"})
        assert (422, "VALIDATION", "privacy") == _problem(answer)
        assert (422, "VALIDATION", "title") == _problem(await ada.http.post("/streams/start", json={"title": " "}))
        async with await Client(c.url(0)).guest() as eve:
            assert (403, "FORBIDDEN") == _problem(await eve.http.patch(f"/streams/{stream_id}", json={"title": "x"}))[:2]
            assert (403, "FORBIDDEN") == _problem(await eve.http.post(f"/streams/{stream_id}/end"))[:2]


async def test_who_hangs_up_in_the_middle_is_no_error_of_ours(c: Cluster) -> None:
    """Half a body, then nobody, or nothing for too long: no answer, no line of complaint, and the gateway goes on."""
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        authorization = ada.http.headers["Authorization"]
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", c.ports[0])
            lines = [f"POST /api/v1/streams/{stream_id}/comments HTTP/1.1", "Host: x", f"Authorization: {authorization}"]
            writer.write("\r\n".join([*lines, "Content-Length: 100", "", '{"text": "half']).encode())
            await writer.drain()
            assert (await ada.http.get(f"/streams/{stream_id}")).status_code == 200
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        assert (await ada.post(stream_id, "whole")).status_code == 201
    assert "Traceback" not in c.gateways[0].text
    assert '"level":"error"' not in c.gateways[0].text.replace(" ", "")


async def test_who_stops_sending_after_a_request_is_answered(c: Cluster) -> None:
    """A client that shuts its sending side down, as `nc -N` does, gets its answer; one that watches has gone with that."""
    async with await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
    for path, status, whole in (("", b"200", True), ("/nothing", b"404", True), ("/events", b"200", False)):
        reader, writer = await asyncio.open_connection("127.0.0.1", c.ports[0])
        writer.write(f"GET /api/v1/streams/{stream_id}{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        if not whole:
            await reader.readuntil(b"event: comments")
        writer.write_eof()
        async with asyncio.timeout(PATIENCE_S):
            rest = await reader.read()
        if whole:
            assert rest.startswith(b"HTTP/1.1 " + status)
            assert rest.endswith(b"}")
        writer.close()
