"""The server of `bench.ingest`: the RTMP port whose broadcasts lead nowhere, or sockets that are read and dropped."""

import asyncio
import ssl
import sys
from pathlib import Path

import uvloop

from infra.clock import SystemClock
from schemas.media import About
from tests.certificates import Pair
from workers.media.flv import Tag
from workers.media.publisher import LOST, Leaving, Publisher
from workers.media.rtmp.certificate import Certificate
from workers.media.rtmp.limits import Limits
from workers.media.rtmp.server import Server

KEY = "a-key-of-the-benchmark"


class Nowhere:
    """Admits everybody, and counts."""

    def __init__(self) -> None:
        self.taken = 0

    async def admit(self, key: str, publisher: Publisher) -> "Nowhere":
        """As the contract says."""
        del key, publisher
        return self

    def take(self, publisher: Publisher, tag: Tag) -> None:
        """Drop *tag*."""
        del publisher, tag
        self.taken += 1

    def warned(self, publisher: Publisher, about: About, text: str) -> None:
        """What was told is seen by the encoder."""

    def leave(self, publisher: Publisher, leaving: Leaving = LOST) -> None:
        """Nothing was kept."""


async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What sockets and the loop cost alone."""
    while await reader.read(65_536):
        pass
    writer.close()


async def serve(variant: str, folder: Path) -> None:
    """Serve until the standard input ends, then tell the number of messages taken."""
    nowhere = Nowhere()
    if variant == "sockets alone":
        made = await asyncio.start_server(drop, "127.0.0.1", 0, limit=256 * 1024)
        port = made.sockets[0].getsockname()[1]
    else:
        context: ssl.SSLContext | None = None
        if variant == "RTMPS":
            context = Certificate.read(str(Pair(folder).both), "", SystemClock()).context
        port = await Server(nowhere, Limits(), SystemClock()).listen(["127.0.0.1"], 0, context)
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(nowhere.taken, flush=True)


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], Path(sys.argv[2])))
