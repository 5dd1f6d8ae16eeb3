"""The edge over real sockets: whom a connection is for, how many, how long, and how it ends."""

import asyncio
import json
import socket
from typing import Any

import pytest

from gateway.edge.protocol import LINGER_S
from tests.edges import Edged, Line, edge, refused
from tests.proxied import header
from tests.waits import eventually

GET = b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n"
#: The deadline of a request's head, short enough to wait for, and long enough for a client that lost the core for a while.
HEAD_S = 0.7
TRUSTING: dict[str, Any] = {"trusted_proxies": "127.0.0.1", "proxy_protocol": "optional"}


async def test_the_client_is_whom_the_proxy_speaks_for() -> None:
    """The header may come with the request, in any two pieces, or byte by byte; it counts for all requests that follow."""
    whole = header("192.0.2.7", 4711)
    async with edge(**TRUSTING) as e:
        for cut in (0, 1, 11, 12, 15, 16, len(whole) - 1, len(whole), len(whole) + 5):
            line = (await e.open()).say((whole + GET)[:cut])
            await line.writer.drain()
            await asyncio.sleep(0)
            line.say((whole + GET)[cut:])
            assert (await line.told())["client"] == ["192.0.2.7", 4711]
            assert (await line.say(GET).told())["client"] == ["192.0.2.7", 4711]
            await line.close()
        slow = await e.open()
        slow.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in whole + GET:
            slow.say(bytes([byte]))
            await asyncio.sleep(0)
        assert (await slow.told())["client"] == ["192.0.2.7", 4711]
        await slow.close()


async def test_whom_it_does_not_name_is_the_peer() -> None:
    """A health check, or no header where it is optional; and version 6 addresses are whole."""
    async with edge(**TRUSTING) as e:
        for first, expected in ((header(local=True), "127.0.0.1"), (b"", "127.0.0.1"), (header("2001:db8::7"), "2001:db8::7")):
            line = await e.open()
            assert (await line.say(first, GET).told())["client"][0] == expected
            await line.close()


@pytest.mark.parametrize("first", [header(version=3), header(family=0x12), b"\r\n\r\n\x00\r\nQUIT\n\x31"])
async def test_a_bad_header_ends_the_connection(first: bytes) -> None:
    """Nothing is answered, and it is counted; an incomplete one ends it after the deadline."""
    async with edge(**TRUSTING, request_head_s=HEAD_S) as e:
        before = refused("proxy") + refused("slow")
        line = (await e.open()).say(first)
        assert await line.rest() == b""
        assert refused("proxy") + refused("slow") == before + 1
        await line.close()


async def test_an_offer_of_http2_is_declined() -> None:
    """A first request with a body is whole, also when its head comes in pieces, and the connection goes on."""
    offer = b"connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
    said = b"POST /echo HTTP/1.1\r\nhost: x\r\n" + offer + b"content-length: 20\r\n\r\n\r\nupgrade: h2c\r\nbody"
    async with edge() as e:
        for cut in (0, 20, said.index(b"HTTP2-Settings: "), said.index(b"\r\n\r\n") + 4):
            line = (await e.open()).say(said[:cut])
            await line.writer.drain()
            await asyncio.sleep(0)
            line.say(said[cut:])
            assert (await line.told())["body"] == "\r\nupgrade: h2c\r\nbody"
            assert (await line.say(GET).told())["body"] == ""
        for other in (offer, b"connection: upgrade\r\nupgrade: websocket\r\n"):
            likely = await e.open()
            assert (await likely.say(b"GET /api/v1/streams/x HTTP/1.1\r\nhost: x\r\n" + other + b"\r\n").told())["body"] == ""


async def test_what_follows_an_unknown_upgrade_is_no_request() -> None:
    """The request itself is answered; a body behind it, which the parser does not see, never becomes one of its own."""
    said = b"POST /echo HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: other\r\ncontent-length: %d\r\n\r\n" % len(GET)
    async with edge() as e:
        line = (await e.open()).say(said)
        await line.told()
        assert await line.say(GET).rest() == b""


async def test_what_is_no_http_is_a_problem() -> None:
    """Methods and heads that the parser does not take are refused in JSON, like everything else."""
    async with edge() as e:
        for bad in (b"FOO /api/v1 HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nx: \x7f\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            status, headers, body = await (await e.open()).say(bad).answer()
            assert (status, headers["content-type"]) == (400, "application/problem+json")
            assert json.loads(body)["code"] == "VALIDATION"


async def test_required_is_required_of_proxies_alone() -> None:
    """From a trusted proxy a request without a header is cut; any other peer has to do without."""
    async with edge(trusted_proxies="127.0.0.1", proxy_protocol="required") as e:
        bare = (await e.open()).say(GET)
        assert await bare.rest() == b""
        proxied = await e.open()
        assert (await proxied.say(header(), GET).told())["client"][0] == "192.0.2.7"
        stranger = await e.open("127.0.0.2")
        assert (await stranger.say(GET).told())["client"][0] == "127.0.0.2"
        liar = (await e.open("127.0.0.2")).say(header(), GET)
        assert (await liar.answer())[0] == 400


async def test_forwarded_addresses_count_from_trusted_proxies() -> None:
    """Over the PROXY protocol's word and X-Forwarded-For together; a stranger's headers mean nothing."""
    said = b"GET /echo HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 203.0.113.9, 192.0.2.1\r\nx-forwarded-proto: https\r\n\r\n"
    async with edge(trusted_proxies="127.0.0.1,10.0.0.0/8", proxy_protocol="optional") as e:
        trusted = await e.open()
        assert await trusted.say(said).told() == {"client": ["192.0.2.1", 0], "scheme": "https", "body": ""}
        two = await e.open()
        assert (await two.say(header("10.0.0.5"), said).told())["client"][0] == "192.0.2.1"
        assert (await two.say(GET).told())["client"][0] == "10.0.0.5"
        stranger = await e.open("127.0.0.2")
        told = await stranger.say(said).told()
        assert (told["client"][0], told["scheme"]) == ("127.0.0.2", "http")
        outside = await e.open()
        assert (await outside.say(header("198.51.100.1"), said).told())["client"][0] == "198.51.100.1"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /echo HTT",
        b"GET /echo HTTP/1.1\r\nhost: x\r\n",
        b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf",
    ],
)
async def test_who_takes_too_long_is_closed(said: bytes) -> None:
    """Nothing at all, half a request line, half a head, half a body; on a new connection and after an answer."""
    async with edge(request_head_s=HEAD_S) as e:
        before = refused("slow")
        new = (await e.open()).say(said)
        kept = await e.open()
        await kept.say(GET).told()
        kept.say(said)
        assert await new.rest() == b""
        if said:
            assert await kept.rest() == b""
        assert refused("slow") == before + 1 + bool(said)


async def test_a_byte_now_and_then_does_not_help() -> None:
    """The deadline is for all of the head, not for the next byte of it."""
    async with edge(request_head_s=HEAD_S) as e:
        line = (await e.open()).say(b"GET /echo HTTP/1.1\r\n")
        loop = asyncio.get_running_loop()
        began = loop.time()

        def dribble() -> bool:
            line.say(b"a: b\r\n")
            return line.reader.at_eof() or line.writer.is_closing()

        reading = asyncio.create_task(line.rest())
        await eventually(lambda: dribble() or reading.done())
        assert await reading == b""
        assert HEAD_S / 2 <= loop.time() - began < 10
        await line.close()


async def test_a_slow_answer_is_not_a_slow_request() -> None:
    """Whoever waits for us is not closed for it."""
    async with edge(request_head_s=HEAD_S) as e:
        before = refused("slow")
        line = (await e.open()).say(GET.replace(b"/echo", b"/slow"))
        idle = await e.open()
        assert await idle.rest() == b""
        assert refused("slow") == before + 1
        e.go.set()
        assert (await line.told())["body"] == ""


async def test_a_connection_is_kept_for_the_next_request_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle after an answer it is closed after the keep-alive time, which begins anew with each; nobody was slow."""
    monkeypatch.setattr("gateway.edge.server.KEEP_ALIVE_S", 2)
    async with edge(request_head_s=HEAD_S) as e:
        before, loop = refused("slow"), asyncio.get_running_loop()
        line = await e.open()
        for _ in range(2):
            assert (await line.say(GET).answer())[0] == 200
            pause = loop.time() + 1.1
            await eventually(lambda until=pause: loop.time() > until)  # type: ignore[misc]  # mypy cannot infer it
        assert (await line.say(GET).answer())[0] == 200
        began = loop.time()
        assert await line.rest() == b""
        assert 1.0 <= loop.time() - began < 12
        assert refused("slow") == before


async def test_an_endless_head_is_refused() -> None:
    """Past 32 kB, before memory is full of it."""
    async with edge() as e:
        line = (await e.open()).say(b"GET /echo HTTP/1.1\r\n")
        for _ in range(40):
            line.say(b"x-name: ", b"v" * 1016, b"\r\n")
        status, headers, body = await line.answer()
        assert (status, headers["content-type"], json.loads(body)["code"]) == (431, "application/problem+json", "VALIDATION")
        await line.close()


async def test_too_many_connections_are_told_so() -> None:
    """Past the bound a problem document, and the connection ends; far past it, nothing; and there is room again afterwards."""
    async with edge(max_connections=4) as e:
        held = [await e.open() for _ in range(4)]
        before = refused("connections")
        more = await e.open()
        status, headers, body = await more.say(GET).answer()
        problem = json.loads(body)
        assert (status, problem["code"], problem["retryable"]) == (503, "UNAVAILABLE", True)
        assert (headers["content-type"], headers["retry-after"]) == ("application/problem+json", "1")
        assert headers["connection"] == "close"
        assert await more.rest() == b""
        assert refused("connections") == before + 1
        held += [await e.open() for _ in range(2)]
        for _ in range(3):
            unread = await e.open()
            assert await unread.rest() == b""
            await unread.close()
        assert refused("connections") == before + 4
        await e.close()

        async def room() -> bool:
            again = await e.open()
            try:
                return (await again.say(GET).answer())[0] == 200
            finally:
                await again.close()

        await eventually(room)


async def test_a_crowd_does_not_keep_connections() -> None:
    """From three quarters of the bound on an answer is a connection's last: nobody holds one open and idle."""
    async with edge(max_connections=4) as e:
        lines = [await e.open() for _ in range(4)]
        for line, kept in zip(lines, ("close", None, None, None), strict=True):
            _, headers, _ = await line.say(GET).answer()
            assert headers.get("connection") == kept
            if kept:
                assert await line.rest() == b""


async def test_who_stops_sending_still_gets_an_answer() -> None:
    """A client that shuts its sending side down after a whole request is answered; with half of one it has gone."""
    async with edge() as e:
        line = (await e.open()).say(GET.replace(b"/echo", b"/slow"))
        line.writer.write_eof()
        await eventually(lambda: e.waiting == 1)
        e.go.set()
        _, headers, _ = await line.answer()
        assert headers["connection"] == "close"
        assert await line.rest() == b""
        for said in (b"", b"GET /e", b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf"):
            half = (await e.open()).say(said)
            half.writer.write_eof()
            assert await half.rest() == b""
            await half.close()
        await line.close()


async def _ending(e: Edged) -> list[Line]:
    """Three connections at the moment of SIGTERM: asked and waiting, asking, and about to ask."""
    asked = (await e.open()).say(GET.replace(b"/echo", b"/slow"))
    asking = (await e.open()).say(GET[:10])
    silent = await e.open()
    await eventually(lambda: e.waiting == 1)
    return [asked, asking, silent]


@pytest.mark.parametrize("shared", [False, True])
async def test_everybody_who_has_connected_is_answered(shared: bool, caplog: pytest.LogCaptureFixture) -> None:  # noqa: FBT001
    """SIGTERM: a request in work, half a request, and one that is still on its way are answered; each answer says close."""
    async with edge(shared=shared, drain_s=0) as e:
        lines = await _ending(e)
        kept = await e.open()
        await kept.say(GET).told()
        e.lifecycle.stop()
        with caplog.at_level("INFO", "uvicorn.error"):
            await eventually(lambda: "Shutting down" in caplog.text)
        e.go.set()
        lines[1].say(GET[10:])
        lines[2].say(GET)
        kept.say(GET)
        for line in (*lines, kept):
            status, headers, _ = await line.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert await line.rest() == b""


async def test_answers_are_last_from_the_first_moment_on() -> None:
    """While the viewers are still being sent away: what was in work at SIGTERM, and what is asked on a kept connection."""
    async with edge(shared=True) as e:
        e.drained.clear()
        lines = await _ending(e)
        kept = await e.open()
        await kept.say(GET).told()
        e.lifecycle.stop()
        await eventually(lambda: bool(e.drains))
        e.go.set()
        lines[1].say(GET[10:])
        lines[2].say(GET)
        kept.say(GET)
        for line in (*lines, kept):
            status, headers, _ = await line.answer()
            assert (status, headers.get("connection")) == (200, "close")
            assert await line.rest() == b""


async def test_the_end_does_not_wait_for_those_who_say_nothing() -> None:
    """A connection that never asks is closed soon after; the process ends."""
    async with edge(drain_s=0) as e:
        silent = await e.open()
        loop = asyncio.get_running_loop()
        began = loop.time()
        e.lifecycle.stop()
        assert await silent.rest() == b""
        assert loop.time() - began < LINGER_S + 10
        await silent.close()


async def test_a_shared_socket_is_left_to_the_others() -> None:
    """Once it drains, what waits in the queue of a shared socket is not taken; the socket itself lives on in its owner."""
    async with edge(shared=True, drain_s=0) as e:
        owner = socket.socket(fileno=socket.dup(e.listening.fileno()))
        e.lifecycle.stop()
        await eventually(lambda: bool(e.drains))
        line = (await e.open()).say(GET)
        owner.setblocking(False)  # noqa: FBT003 - the socket's own signature
        taken, _ = await asyncio.get_running_loop().sock_accept(owner)
        assert await asyncio.get_running_loop().sock_recv(taken, 1000) == GET
        taken.close()
        owner.close()
        await line.close()
