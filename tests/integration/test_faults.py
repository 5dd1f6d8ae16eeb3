"""The fault proxy breaks links the way it says; every test of an outage leans on that."""

import asyncio
from collections.abc import AsyncIterator
from typing import Self

import pytest

from tests.faults import FaultProxy
from tests.waits import eventually


@pytest.fixture(name="proxy")
async def _proxy() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        async with FaultProxy.before(server.sockets[0].getsockname()[1]) as proxy:
            yield proxy


class Link:
    """A client of the proxy, and everything it received."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.received = b""
        self.ended = ""

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()
        await self._reading

    def send(self, data: bytes) -> None:
        """Send *data*."""
        self._writer.write(data)

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(4096):
                self.received += data
        except OSError:
            self.ended = "reset"
        else:
            self.ended = "closed"


async def test_an_unbroken_link_carries_everything(proxy: FaultProxy) -> None:
    """Without a fault it is not there."""
    async with Link(proxy) as link:
        link.send(b"x" * 300_000)
        await eventually(lambda: len(link.received) >= 300_000)

        assert (link.received, link.ended) == (b"x" * 300_000, "")


async def test_a_cut_resets_what_is_and_refuses_what_comes_until_healed(proxy: FaultProxy) -> None:
    """Both halves of an outage, and its end."""
    async with Link(proxy) as link:
        link.send(b"one")
        await eventually(lambda: link.received == b"one")
        proxy.cut()
        await eventually(lambda: bool(link.ended))
    async with Link(proxy) as refused:
        await eventually(lambda: bool(refused.ended))
        proxy.heal()
    async with Link(proxy) as again:
        again.send(b"two")
        await eventually(lambda: again.received == b"two")

    assert b"" == refused.received


async def test_a_hushed_link_stays_open_and_silent(proxy: FaultProxy) -> None:
    """Half-open: nothing arrives and nothing ends, and after it everything is there."""
    async with Link(proxy) as link, Link(proxy) as witness:
        proxy.hush()
        link.send(b"later")
        witness.send(b"too")
        await eventually(lambda: proxy.held == 2)

        assert ("", b"") == (link.ended, link.received)
        proxy.heal()
        await eventually(lambda: (link.received, witness.received) == (b"later", b"too"))


async def test_a_link_is_cut_after_exactly_so_many_bytes(proxy: FaultProxy) -> None:
    """A cut in the middle of a frame is where parsers break."""
    proxy.cut_after = 1234
    async with Link(proxy) as link:
        link.send(b"x" * 5000)
        await eventually(lambda: bool(link.ended))

    assert b"x" * 1234 == link.received


async def test_a_slow_link_is_slow(proxy: FaultProxy) -> None:
    """Each chunk waits on its way there and on its way back."""
    proxy.delay = 0.05
    began = asyncio.get_running_loop().time()
    async with Link(proxy) as link:
        link.send(b"x")
        await eventually(lambda: link.received == b"x")

    assert 0.1 <= asyncio.get_running_loop().time() - began
