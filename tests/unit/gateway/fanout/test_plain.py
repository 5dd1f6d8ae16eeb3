"""What is read in one look is what the parser would have read, whole and as one request."""

from collections.abc import Callable
from typing import Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fanout import plain

STREAM = "01a200aa-05ca-7fc7-95bf-8592a36efce5"
FIRST = f"POST /api/v1/streams/{STREAM}/comments HTTP/1.1\r\n".encode()
NAMES = [b"authorization", b"Idempotency-Key", b"ORIGIN", b"traceparent", b"x-other", b"Host", b"x_y"]


class Parsed:
    """What llhttp makes of it."""

    def __init__(self, data: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = 0
        self.parser: Any = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One."""
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        """A part of it."""
        self.body += body

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
            b"x: a\nb",
            b"content-length: 5",
            b"Content-Length: +7",
            b"Connection: Keep-Alive",
            b"connection: close",
            b"Transfer-Encoding: chunked",
            b"Upgrade: h2c",
            b"expect: 100-continue",
        ]
    ),
    st.binary(max_size=12),
)
#: Two of five are read: few lines are odd, and none repeated but by chance.
_lines = st.builds(
    lambda headers, odd: [*headers, *odd],
    st.lists(_header, max_size=5, unique_by=lambda line: line.partition(b":")[0].lower()),
    st.one_of(st.just([]), st.just([]), st.just([]), st.lists(_odd, min_size=1, max_size=2)),
).flatmap(st.permutations)


@given(
    lines=_lines,
    length=st.sampled_from([b"%d", b"%d", b"%d", b"%d", b"0%d", b"%d ", b"1%d", b"-%d"]),
    body=st.binary(min_size=1, max_size=30),
)
def test_it_reads_as_the_parser_does(lines: list[bytes], length: bytes, body: bytes) -> None:
    """Whatever is read here the parser takes too, as one request that ends there and keeps its connection."""
    said = FIRST + b"".join(line + b"\r\n" for line in lines) + b"Content-Length: " + length % len(body) + b"\r\n\r\n" + body
    read = plain.post(said)
    if read is None:
        return
    parsed = Parsed(said)
    assert parsed.complete == 1
    assert parsed.parser.should_keep_alive()
    assert not parsed.parser.should_upgrade()
    assert read == plain.Post(STREAM, {name: value for name, value in parsed.headers if name != b"connection"}, parsed.body)


PLAIN = FIRST + b"Host: x\r\nAuthorization: Bearer abc\r\ncontent-length: 12\r\n\r\n" + b'{"text":"a"}'


def test_a_librarys_post_is_read() -> None:
    """As clients write it; names in lower case, values as they are, up to what is after the last colon and space."""
    said = PLAIN.replace(
        b"Host: x", b"Host: example.org:8080\r\nConnection: keep-alive\r\nAccept: */*\r\nIdempotency-Key: \t a: b "
    )
    assert plain.post(said) == plain.Post(
        STREAM,
        {
            b"host": b"example.org:8080",
            b"accept": b"*/*",
            b"idempotency-key": b"a: b ",
            b"authorization": b"Bearer abc",
            b"content-length": b"12",
        },
        b'{"text":"a"}',
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.replace(b"POST", b"PUT"),
        lambda said: said.replace(b"/comments", b"/comments?x"),
        lambda said: said.replace(b"/comments", b"/reactions"),
        lambda said: said.replace(STREAM.encode(), STREAM.upper().encode()),
        lambda said: said.replace(b"1.1", b"1.0"),
        lambda said: said[:-1],
        lambda said: said[:-12],
        lambda said: said.replace(b"12", b"0")[:-12],
        lambda said: said + b"\r\n",
        lambda said: said + said,
        lambda said: said.replace(b"\r\n", b"\n"),
        lambda said: b"\r\n" + said,
        lambda said: said.replace(b"Host: x", b"Host: x\r\nHost: y"),
        lambda said: said.replace(b"Host: x", b"Content-Length: 12"),
        lambda said: said.replace(b"Host: x", b"Connection: close"),
        lambda said: said.replace(b"Host: x", b"Connection: keep-alive\r\nConnection: close"),
        lambda said: said.replace(b"Host: x", b"Proxy-Connection: close"),
        lambda said: said.replace(b"Host: x", b"transfer-encoding: chunked"),
        lambda said: said.replace(b"Host: x", b"Upgrade: websocket"),
        lambda said: said.replace(b"Host: x", b"EXPECT: 100-continue"),
        lambda said: said.replace(b"12", b"1_2"),
        lambda said: said.replace(b"12", b"9" * 5000),
    ],
)
def test_what_is_unusual_is_left_to_the_parser(change: Callable[[bytes], bytes]) -> None:
    """Other methods, addresses and versions, pieces, what follows, repeated headers, and what is asked of HTTP itself."""
    assert plain.post(PLAIN) is not None
    assert plain.post(change(PLAIN)) is None
