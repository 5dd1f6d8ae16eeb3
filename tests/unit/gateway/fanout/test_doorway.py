"""What the doorway reads by itself is what the parser behind it would have read, and nothing that it would refuse."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.protocol import EdgeProtocol
from gateway.fanout.admission import Admission, EventsRequest
from gateway.fanout.doorway import doorway_with

STREAM = "01a200aa-05ca-7fc7-95bf-8592a36efce5"
FIRST = f"GET /api/v1/streams/{STREAM}/events".encode()
#: What the doorway looks for.
NAMES = [b"authorization", b"Cookie", b"ACCEPT-ENCODING", b"Last-Event-ID", b"X-Forwarded-For", b"x-other", b"Host"]


class Transport:
    """As much of one as a request needs."""

    def is_closing(self) -> bool:
        """Never."""
        return False

    def set_protocol(self, _protocol: object) -> None:
        """Nobody is told anything."""


class Asked:
    """Where a doorway leads: requests it read itself, and bytes it left to the protocol behind."""

    def __init__(self) -> None:
        self.requests: list[EventsRequest] = []
        self.left: list[bytes] = []

    def take(self, _transport: object, request: EventsRequest) -> None:
        """A viewer."""
        self.requests.append(request)

    def __call__(self, **_: object) -> "Asked":
        """The protocol behind, made."""
        return self

    def connection_made(self, _transport: object) -> None:
        """Nothing to do."""

    def data_received(self, data: bytes) -> None:
        """Not the doorway's."""
        self.left.append(data)


def read(data: bytes, **settings: object) -> Asked:
    """Give *data* to a doorway."""
    asked = Asked()
    bounds = {"max_connections": 10, "trusted_proxies": (), "viewers_per_address": 0, "proxy_protocol": "off"} | settings
    behind: Any = asked
    behind.edge = SimpleNamespace(settings=SimpleNamespace(**bounds))
    state: Any = SimpleNamespace(connections=set())
    door = doorway_with(cast("Admission", asked), cast("type[EdgeProtocol]", behind))

    async def hear() -> None:
        one = door(cast("Any", None), state, {})
        one.connection_made(cast("asyncio.Transport", Transport()))
        one.data_received(data)

    asyncio.run(hear())
    return asked


class Parsed:
    """What llhttp makes of it."""

    def __init__(self, data: bytes) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = 0
        parser: Any = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        """A part of it."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One."""
        self.headers.append((name.lower(), value))

    def on_message_complete(self) -> None:
        """One request."""
        self.complete += 1


_value = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.encode)
_space = st.sampled_from([b"", b" ", b"\t", b"  "])
_header = st.builds(
    lambda name, left, value, right: name + b":" + left + value + right, st.sampled_from(NAMES), _space, _value, _space
)
_odd = st.one_of(
    st.sampled_from(
        [
            b" folded",
            b"no colon",
            b"name : x",
            b":",
            b"",
            b"x-bytes: \xff",
            b"x-nul: \x00",
            b"x-\xe9: a",
            b"x: \r",
            b"x: a\nb",
            b"content-length: 5",
            b"content-length: x",
            b"Transfer-Encoding: chunked",
            b"Upgrade: h2c",
            b"expect: 100-continue",
        ]
    ),
    st.binary(max_size=12),
)
_query = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20).map(lambda text: b"?" + text.encode())
_target = st.one_of(st.just(b""), _query, st.binary(max_size=8))
_version = st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.9", b"http/1.1", b""])


@given(target=_target, version=_version, lines=st.lists(st.one_of(_header, _header, _odd), max_size=6), end=_space)
def test_it_reads_as_the_parser_does(target: bytes, version: bytes, lines: list[bytes], end: bytes) -> None:
    """Whatever it takes for itself the parser takes too, whole and as one request, with the same query and headers."""
    said = FIRST + target + b" " + version + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + end
    asked = read(said)
    if not asked.requests:
        assert asked.left == [said]
        return
    [request] = asked.requests
    parsed = Parsed(said)
    assert (parsed.method, parsed.complete, asked.left) == (b"GET", 1, [])
    path, _, query = parsed.url.partition(b"?")
    expected = EventsRequest.read(STREAM, query, parsed.headers)
    assert path == FIRST.removeprefix(b"GET ")
    assert (request.stream_id, request.kind, request.query) == (STREAM, "events", expected.query)
    for name in (each.lower() for each in NAMES[:5]):
        kept = expected.headers.get(name)
        # llhttp leaves space at a value's end, which is none of it (RFC 9110, 5.5).
        assert request.headers.get(name) == (kept and kept.rstrip(b"\t "))


def test_a_browsers_request_is_read() -> None:
    """As Chromium writes it, with the headers that matter in any case and place; of repeated ones the last counts."""
    asked = read(
        FIRST
        + b'?backfill=20 HTTP/1.1\r\nHost: example.org:8080\r\nConnection: keep-alive\r\nsec-ch-ua: "Chromium";v="130"\r\n'
        b"Accept: text/event-stream\r\nACCEPT-ENCODING: identity\r\nAccept-Encoding: gzip, deflate, br \r\n"
        b"Cookie: a=b; ovation_session=c\r\nLast-Event-ID:\t17\r\n\r\n"
    )
    [request] = asked.requests
    assert request.takes_gzip
    assert (request.last_id(), request.backfill(), request.cookie("ovation_session")) == (17, 20, "c")


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.replace(b"GET", b"HEAD"),
        lambda said: said.replace(b"/events", b"/comments"),
        lambda said: said.replace(b"/api", b"/%61pi"),
        lambda said: said.replace(STREAM.encode(), b"%30" + STREAM[1:].encode()),
        lambda said: said[:-1],
        lambda said: said + said,
        lambda said: said.replace(b"\r\n", b"\n"),
        lambda said: said.replace(b"\r\n\r\n", b"\r\ncontent-length: 0\r\n\r\n"),
        lambda said: said.replace(b"\r\n\r\n", b"\r\nconnection: upgrade\r\nUPGRADE: websocket\r\n\r\n"),
        lambda said: b"\r\n" + said,
    ],
)
def test_what_is_unusual_goes_on_whole(change: Callable[[bytes], bytes]) -> None:
    """Other methods, routes and spellings, pieces, pipelined requests and bodies go to the protocol behind."""
    said = change(FIRST + b" HTTP/1.1\r\nhost: x\r\n\r\n")
    asked = read(said)
    assert (asked.requests, asked.left) == ([], [said])


def test_a_crowded_gateway_reads_nothing_itself() -> None:
    """Past the bound on connections the protocol behind says so."""
    said = FIRST + b" HTTP/1.1\r\nhost: x\r\n\r\n"
    assert read(said, max_connections=1).requests
    assert read(said, max_connections=0.9).left == [said]
