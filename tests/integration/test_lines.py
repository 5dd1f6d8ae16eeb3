"""Lines on real sockets: what is written arrives, what waits pauses, and each connection ends once."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from gateway.edge import acceptor
from gateway.edge.accepting import Taken, Taker, compiled, take_each
from gateway.edge.acceptor import Acceptor
from gateway.edge.lines import Line, Lines
from infra import ports
from tests.waits import PATIENCE_S, eventually

LOTS = b"x" * 4_000_000


class Listener(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.heard = b""
        self.told: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        assert isinstance(transport, Line)
        self.line = transport

    def data_received(self, data: bytes) -> None:
        """Note it; a fault when told to have one."""
        self.heard += data
        if data == b"fault":
            raise ValueError

    def pause_writing(self) -> None:
        """Note it."""
        self.told.append("pause")

    def resume_writing(self) -> None:
        """Note it."""
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """Note it."""
        self.told.append("lost")


class Place:
    """A listening socket with an acceptor, and who has come."""

    def __init__(self, take: Taker = take_each) -> None:
        self.lines = Lines(asyncio.get_running_loop())
        self.listening = ports.listen("127.0.0.1", 0, "PORT")
        self.address = self.listening.getsockname()
        self.came: list[Listener] = []
        self.clients: list[socket.socket] = []
        self.acceptor = Acceptor(self.listening, self.lines, self._protocol, take)

    def call(self, said: bytes = b"", receive_buffer: int = 0) -> socket.socket:
        """Connect and say something."""
        client = socket.socket()
        self.clients.append(client)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(self.address)
        client.sendall(said)
        client.setblocking(False)  # noqa: FBT003 - the socket's own signature
        return client

    async def one(self, said: bytes = b"") -> tuple[socket.socket, Listener, Line]:
        """A connection's two ends; the client takes little at a time."""
        client = self.call(said, receive_buffer=4096)
        await eventually(lambda: bool(self.came))
        listener = self.came[-1]
        assert listener.line is not None
        return client, listener, listener.line

    def close(self) -> None:
        """End everything."""
        self.acceptor.close()
        self.lines.close()
        for client in self.clients:
            client.close()

    def _protocol(self) -> Listener:
        self.came.append(Listener())
        return self.came[-1]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A place that is closed afterwards."""
    made = Place()
    yield made
    made.close()


async def _all(client: socket.socket) -> bytes:
    """Everything until the other side closes."""
    received = bytearray()
    async with asyncio.timeout(PATIENCE_S):
        while part := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
            received += part
    return bytes(received)


async def test_what_a_peer_does_not_take_waits_and_pauses(place: Place) -> None:
    """Once, however much follows; all of it arrives in order, and the protocol may go on when all has been taken."""
    client, listener, line = await place.one()
    line.write(LOTS)
    line.write(memoryview(b"middle"))
    assert listener.told == ["pause"]
    assert line.get_write_buffer_size() > 0
    received = b""
    async with asyncio.timeout(PATIENCE_S):
        while len(received) < len(LOTS) + 6:
            received += await asyncio.get_running_loop().sock_recv(client, 1 << 20)
    assert received == LOTS + b"middle"
    await eventually(lambda: listener.told == ["pause", "resume"])
    assert line.get_write_buffer_size() == 0
    line.write(b"more")
    assert await asyncio.get_running_loop().sock_recv(client, 100) == b"more"


async def test_closing_lets_the_peer_take_what_waits(place: Place) -> None:
    """All of what was written before arrives, nothing of what came after, and then the end."""
    client, listener, line = await place.one()
    line.write(LOTS)
    line.close()
    line.write(b"after")
    assert line.is_closing()
    assert listener.told == ["pause"]
    assert await _all(client) == LOTS
    await eventually(lambda: listener.told == ["pause", "lost"])
    assert place.lines.open == {}


async def test_aborting_drops_what_waits(place: Place) -> None:
    """The protocol hears of it once, in a later turn, whatever else is called; the descriptor is given back."""
    client, listener, line = await place.one()
    line.write(LOTS)
    line.abort()
    line.abort()
    line.close()
    assert listener.told == ["pause"]
    await eventually(lambda: listener.told == ["pause", "lost"])
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(line.fd)
    assert len(await _all(client)) < len(LOTS)


async def test_a_peer_that_closes_is_noticed(place: Place) -> None:
    """Also while something waits for it."""
    quiet, listener, _ = await place.one()
    quiet.close()
    await eventually(lambda: listener.told == ["lost"])
    slow, other, line = await place.one()
    line.write(LOTS)
    slow.close()
    await eventually(lambda: other.told[-1] == "lost")
    assert other.told.count("lost") == 1
    assert place.lines.open == {}


async def test_a_fault_ends_its_own_connection_only(place: Place) -> None:
    """A protocol that raises is told that its connection is lost, and the loop's handler what happened; others go on."""
    seen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
    other = place.call()
    client, listener, _ = await place.one()
    client.send(b"fault")
    await eventually(lambda: listener.told == ["lost"])
    assert isinstance(seen[0]["exception"], ValueError)
    other.send(b"still here")
    await eventually(lambda: any(each.heard == b"still here" for each in place.came))


async def test_a_line_knows_its_peer_until_it_is_given_away(place: Place) -> None:
    """The address as the socket says it; the descriptor goes on, and the line is none any more."""
    client, listener, line = await place.one()
    assert line.get_extra_info("peername") == client.getsockname()
    assert line.get_extra_info("sslcontext") is None
    taken = socket.socket(fileno=line.detach())
    assert line.is_closing()
    assert line.get_extra_info("peername") is None
    assert place.lines.open == {}
    client.send(b"for somebody else")
    await asyncio.get_running_loop().sock_recv(taken, 5)
    assert (listener.heard, listener.told) == (b"", [])
    taken.close()


async def test_options_are_inherited(place: Place) -> None:
    """Small frames are not held back and a silent peer is given up, though nobody sets that for each connection."""
    _, _, line = await place.one()
    shown = socket.socket(fileno=os.dup(line.fd))
    assert shown.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert shown.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == ports.USER_TIMEOUT_MS
    shown.close()


@pytest.mark.parametrize("take", [take_each, *([c] if (c := compiled()) else [])])
async def test_a_storm_leaves_room_for_others(take: Taker) -> None:
    """What waits is taken in turns of the loop, and between two of them whatever else is due has its own."""
    place = Place(take)
    for n in range(2 * acceptor.TURN + 1):
        place.call(b"%d" % n)
    seen = []
    async with asyncio.timeout(PATIENCE_S):
        while len(place.came) < len(place.clients):
            seen.append(len(place.came))
            await asyncio.sleep(0)
    assert {0, acceptor.TURN, 2 * acceptor.TURN} <= set(seen)
    assert [each.heard for each in place.came] == [b"%d" % n for n in range(len(place.clients))]
    place.close()


async def test_a_system_without_descriptors_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue stays readable all the while: it is left alone for the pause, told once each time, and nobody is forgotten."""
    monkeypatch.setattr(acceptor, "PAUSE_S", 0.2)
    asked: list[float] = []
    short = True

    def take(listening: socket.socket, most: int) -> Taken:
        asked.append(asyncio.get_running_loop().time())
        return Taken([], OSError(24, "Too many open files")) if short else take_each(listening, most)

    place = Place(take)
    place.call(b"patient")
    await eventually(lambda: len(asked) >= 3)
    assert all(later - sooner > 0.15 for sooner, later in pairwise(asked))
    short = False
    await eventually(lambda: [each.heard for each in place.came] == [b"patient"])
    place.close()


async def test_a_closed_acceptor_takes_nobody() -> None:
    """Also one that pauses; who comes then is refused."""
    place = Place(lambda *_: Taken([], OSError(24, "Too many open files")))
    place.call()
    await asyncio.sleep(0)
    place.acceptor.close()
    place.acceptor.close()
    await place.acceptor.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        place.call()
    assert place.came == []
    place.close()
