"""A connection on a real socket: whatever a client's frames are cut into, its messages are heard whole and in order."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from gateway.fanout.connection import BURST, MAX_MESSAGE, MAX_REFUSED, Connection
from infra.clock import HandClock


class Ear:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.heard_texts: list[str] = []
        self.out_of_pace = 0
        self.refusals: list[str] = []

    def heard(self, connection: Connection, message: bytes, *, in_pace: bool) -> None:  # noqa: ARG002 - the listener's own
        """Note a message."""
        self.heard_texts.append(message.decode())
        self.out_of_pace += not in_pace

    def refused(self, connection: Connection, code: str, message: str) -> None:  # noqa: ARG002 - as above
        """Note a refusal."""
        self.refusals.append(code)

    def sent_away(self, connection: Connection, *, come_back: bool) -> None:
        """Nobody is, here."""

    def taken(self, connection: Connection) -> None:
        """Nothing waits for that, here."""


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Connection, Ear, socket.socket, HandClock]]:
    """A connection, its ear, and the client's end of its socket."""
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
    clock, ear = HandClock(), Ear()
    connection = Connection(transport, None, 1, "", ear, lambda _: None, clock)
    transport.set_protocol(connection)
    theirs.settimeout(30)
    try:
        yield connection, ear, theirs, clock
    finally:
        theirs.close()
        transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def _frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin=fin).serialize(mask=True)


def _answers(theirs: socket.socket) -> list[Frame]:
    """What came back, by a client's own parser."""
    client = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    theirs.settimeout(0)
    while True:
        try:
            data = theirs.recv(65536)
        except BlockingIOError:
            break
        if not data:
            break
        client.receive_data(data)
    return [frame for frame in client.events_received() if isinstance(frame, Frame)]


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=6), data=st.data())
@example(texts=["\N{GRINNING FACE}" * 3], data=None)
def test_any_cut_is_heard_whole(texts: list[str], data: st.DataObject | None) -> None:
    """Fragments at any byte (inside a character too), pings between them, and reads cut anywhere."""
    stream = b""
    pings: list[bytes] = []
    for text in texts:
        payload = text.encode()
        cuts = [1, 2] if data is None else data.draw(st.lists(st.integers(0, len(payload)), max_size=4))
        edges = [0, *sorted(cuts), len(payload)]
        for n, (start, end) in enumerate(itertools.pairwise(edges)):
            last = n == len(edges) - 2
            stream += _frame(Opcode.TEXT if n == 0 else Opcode.CONT, payload[start:end], fin=last)
            if data is not None and data.draw(st.booleans()):
                pings.append(b"%d" % len(pings))
                stream += _frame(Opcode.PING, pings[-1])
    cuts = list(range(len(stream))) if data is None else data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    edges = [0, *sorted(cuts), len(stream)]

    async def feed() -> tuple[list[str], list[Frame]]:
        async with connected() as (connection, ear, theirs, _):
            for start, end in itertools.pairwise(edges):
                connection.data_received(stream[start:end])
            return ear.heard_texts, _answers(theirs)

    heard, answers = asyncio.run(feed())

    assert texts == heard
    assert [(frame.opcode, bytes(frame.data)) for frame in answers] == [(Opcode.PONG, ping) for ping in pings]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_break_it(noise: bytes) -> None:
    """Anything at all is heard as text, or answered with a close frame: never an exception, never silence in between."""

    async def feed() -> tuple[bool, list[Frame]]:
        async with connected() as (connection, _, theirs, _):
            connection.data_received(noise)
            return connection.closing, _answers(theirs)

    closing, answers = asyncio.run(feed())

    assert closing == any(frame.opcode is Opcode.CLOSE for frame in answers)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([_frame(Opcode.TEXT, b"x" * (MAX_MESSAGE + 1))], 1009),
        ([_frame(Opcode.TEXT, b"x" * MAX_MESSAGE, fin=False), _frame(Opcode.CONT, b"x")], 1009),
        ([_frame(Opcode.TEXT, b"\xc3\x28")], 1007),
        ([_frame(Opcode.CONT, b"x")], 1002),
        ([_frame(Opcode.TEXT, b"a", fin=False), _frame(Opcode.TEXT, b"b")], 1002),
        ([Frame(Opcode.TEXT, b"x").serialize(mask=False)], 1002),
        ([_frame(Opcode.CLOSE, Close(1000, "").serialize())], 1000),
    ],
)
async def test_what_breaks_the_protocol_is_closed_by_its_code(sent: list[bytes], code: int) -> None:
    """Too long (in one frame or in parts), not UTF-8, out of order, not masked; a close is echoed."""
    async with connected() as (connection, ear, theirs, _):
        for data in sent:
            connection.data_received(data)
        [close] = _answers(theirs)

        assert connection.closing
        assert Close.parse(close.data).code == code
        assert ear.heard_texts == []


async def test_a_message_of_the_longest_length_is_heard() -> None:
    """The bound is what may be said, not less; binary messages are refused and the connection stays."""
    async with connected() as (connection, ear, _, _):
        connection.data_received(_frame(Opcode.TEXT, b"x" * MAX_MESSAGE))
        connection.data_received(_frame(Opcode.BINARY, b"x"))

        assert [len(text) for text in ear.heard_texts] == [MAX_MESSAGE]
        assert (ear.refusals, connection.closing) == (["VALIDATION"], False)


async def test_pace_is_kept() -> None:
    """So many at once, then so many a second; who goes on regardless is closed."""
    async with connected() as (connection, ear, theirs, clock):
        message = _frame(Opcode.TEXT, b"{}")
        connection.data_received(message * (int(BURST) + 3))
        assert ear.out_of_pace == 3
        clock.advance(1.0)
        connection.data_received(message * 51)
        assert ear.out_of_pace == 4
        connection.data_received(message * MAX_REFUSED)

        assert Close.parse(_answers(theirs)[-1].data).code == 1008
        assert len(ear.heard_texts) == BURST + 3 + 51 + MAX_REFUSED - 1


async def test_what_is_at_work_is_answered_before_the_end() -> None:
    """An end waits for what is at work, and says nothing after its close frame."""
    async with connected() as (connection, _, theirs, _):
        connection.at_work = 1
        connection.end(1001, "come back", come_back=True)
        connection.write(_unmasked(b"ack"))
        assert not connection.closing
        connection.at_work = 0
        connection.rested()
        connection.write(_unmasked(b"late"))
        frames = _answers(theirs)

        assert [frame.opcode for frame in frames] == [Opcode.TEXT, Opcode.TEXT, Opcode.CLOSE]
        assert b"reconnect" in frames[0].data
        assert frames[1].data == b"ack"


def _unmasked(text: bytes) -> bytes:
    return Frame(Opcode.TEXT, text).serialize(mask=False)
