"""The parser of the NATS protocol beside nats-py's own: the same bytes, cut anywhere, mean the same."""

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from infra.jetstream.wire import MAX_LINE, Wire, header_lines

PREFIX = b"_INBOX.abc."


class Recorder(Client):
    """Keeps what a parser hands over, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Any, ...]] = []

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        self.seen.append(("msg", sid, subject, reply, data, headers or None))

    async def _process_ping(self) -> None:
        self.seen.append(("ping",))

    async def _process_pong(self) -> None:
        self.seen.append(("pong",))

    async def _process_err(self, err_msg: str) -> None:
        self.seen.append(("err", err_msg))

    async def _process_info(self, info: dict[str, Any], *_: object) -> None:
        self.seen.append(("info", info))

    def take(self, token: bytes, header: bytes | None, payload: bytes) -> None:
        """An answer of the inbox, written as the message it was."""
        self.seen.append(("msg", 1, PREFIX + token, b"", payload, header))

    def take_message(self, subject: bytes, header: bytes | None, payload: bytes) -> None:
        """What a subscription takes past nats-py, written as the message it was."""
        self.seen.append(("msg", 1, subject, b"", payload, header))


def _message(subject: bytes, payload: bytes, *, header: bytes = b"", reply: bytes = b"") -> bytes:
    to = b" ".join([subject, b"1", *([reply] if reply else [])])
    if header:
        return b"HMSG %b %d %d\r\n%b%b\r\n" % (to, len(header), len(header) + len(payload), header, payload)
    return b"MSG %b %d\r\n%b\r\n" % (to, len(payload), payload)


_subjects = st.sampled_from([PREFIX + b"0", PREFIX + b"41", b"feed.0.x", b"_INBOX.other.0"])
_payloads = st.one_of(st.binary(max_size=40), st.just(b"\r\nMSG a 1 3\r\n"), st.binary(min_size=5000, max_size=5000))
_messages = st.builds(
    _message,
    _subjects,
    _payloads,
    header=st.sampled_from([b"", b"NATS/1.0 503\r\n\r\n", b"NATS/1.0\r\nA: b\r\n\r\n"]),
    reply=st.sampled_from([b"", b"reply.to"]),
)
_controls = st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b'INFO {"a": 1}\r\n', b"-ERR 'Stale Connection'\r\n"])


async def _parsed(parser: Wire | Parser, data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, stop in itertools.pairwise(edges):
        await parser.parse(data[start:stop])


@given(st.lists(st.one_of(_messages, _controls), max_size=12), st.lists(st.integers(min_value=0), max_size=30), st.booleans())
def test_it_understands_what_nats_py_understands(said: list[bytes], cuts: list[int], taken: bool) -> None:  # noqa: FBT001
    """Whatever a server says, cut at any bytes: the same messages in the same order as nats-py's parser finds.

    Also where somebody else than nats-py *takes* them.
    """
    data = b"".join(said)
    ours, theirs = Recorder(), Recorder()
    wire = Wire(ours, PREFIX, ours.take)
    if taken:
        wire.taken[b"1"] = ours.take_message
    asyncio.run(_parsed(wire, data, cuts))
    asyncio.run(_parsed(Parser(theirs), data, cuts))

    expected = [
        # The reply subject of an answer, or of what is taken, is of no use to anybody; and answers come on one subscription.
        (*each[:3], b"", *each[4:]) if each[0] == "msg" and (taken or each[2].startswith(PREFIX)) else each
        for each in theirs.seen
    ]
    assert expected == ours.seen


@pytest.mark.parametrize("nonsense", [b"HELLO\r\n", b"MSG a 1\r\n", b"MSG a 1 x\r\n", b"HMSG a 1 5\r\n", b"x" * (MAX_LINE + 1)])
async def test_nonsense_ends_the_connection(nonsense: bytes) -> None:
    """nats-py reconnects on a ProtocolError; on any other error it would read nothing more for ever."""
    client = Recorder()
    with pytest.raises(ProtocolError):
        await Wire(client, PREFIX, client.take).parse(nonsense)


async def test_nothing_survives_a_reset() -> None:
    """Half a message of the old connection is no part of the new one's first, also when the reset comes while parsing."""

    class Resetting(Recorder):
        async def _process_err(self, err_msg: str) -> None:
            await super()._process_err(err_msg)
            wire.reset()

    client = Resetting()
    wire = Wire(client, PREFIX, client.take)
    await wire.parse(b"MSG a 1 10\r\nhalf")
    wire.reset()
    await wire.parse(b"-ERR 'Stale Connection'\r\nMSG a 1 10\r\nhalf")
    await wire.parse(_message(b"b", b"whole"))

    assert [("err", "'stale connection'"), ("msg", 1, b"b", b"", b"whole", None)] == client.seen


_lines = st.one_of(
    st.binary(max_size=20),
    st.builds(
        lambda name, colon, value: name + colon + value,
        st.one_of(
            st.sampled_from([b"Nats-Sequence", b" A", b"A b", b"\xff", b"\xc3\xa9", b"A\x1f", b""]), st.binary(max_size=5)
        ),
        st.sampled_from([b":", b": ", b":\t", b" : ", b""]),
        st.one_of(st.sampled_from([b"12", b"a:b", b"\xc2\xa0", b"\xe2\x82", b"x ", b"\x1c"]), st.binary(max_size=5)),
    ),
)


@given(lines=st.lists(_lines, max_size=6))
def test_headers_read_as_nats_py_reads_them(lines: list[bytes]) -> None:
    """Whatever is in them."""
    raw = b"\r\n".join([*lines, b"", b""])
    assert header_lines(raw) == Client._parse_header_lines(raw)  # noqa: SLF001 - the one it stands for
