"""HTTP by hand, for what no client library does: pipelines, bodies in pieces, requests that are none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from tests.waits import PATIENCE_S


class Answer(NamedTuple):
    """One response; of repeated headers the last one counts."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Write bytes as they are; to a peer that has hung up, nowhere, as on asyncio's own loop: uvloop raises."""
        if not self.writer.is_closing():
            self.writer.write(data)

    async def answer(self) -> Answer:
        """The next response, by its Content-Length."""
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(first.split()[1]), headers, body)

    async def ended(self) -> bool:
        """Whether the server closes it, without another byte."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read(1) == b""


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    """Connect to a port of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        # The other side may have been faster.
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
