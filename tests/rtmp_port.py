"""The RTMP port as it really is, sockets and all, in front of a stage that keeps what is published."""

import contextlib
import ssl
from collections.abc import AsyncIterator

from infra.clock import Clock, SystemClock
from infra.errors import Unavailable
from schemas.media import About
from tests.rtmp import Publisher as RtmpPublisher
from workers.media.flv import Tag
from workers.media.publisher import LOST, Leaving, Publisher
from workers.media.rtmp.limits import Limits
from workers.media.rtmp.server import Server
from workers.media.streams import KeyRefused

#: Times that a test can wait for, and in which a peer can say something that lost the core for a while.
SHORT = Limits(handshake_s=0.8, publish_s=1.6, silence_s=1.2, close_s=0.3)


class Stage:
    """Admits the key `good`, newest first, and keeps what comes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.left: list[Leaving] = []
        self.tags: list[Tag] = []
        self.publisher: Publisher | None = None
        self.away = False

    async def admit(self, key: str, publisher: Publisher) -> "Stage":
        """As the contract says."""
        self.asked.append(key)
        if self.away:
            msg = "the registry is away"
            raise Unavailable(msg)
        if key != "good":
            msg = "Unknown stream key."
            raise KeyRefused(msg)
        if self.publisher is not None:
            self.publisher.cut("Another encoder publishes with this key.")
        self.publisher = publisher
        return self

    def take(self, publisher: Publisher, tag: Tag) -> None:
        """Keep *tag*."""
        if publisher is self.publisher:
            self.tags.append(tag)

    def warned(self, publisher: Publisher, about: About, text: str) -> None:
        """What was told is seen by the encoder."""

    def leave(self, publisher: Publisher, leaving: Leaving = LOST) -> None:
        """Forget *publisher*, and keep how it went."""
        if publisher is self.publisher:
            self.publisher = None
            self.left.append(leaving)


class Port:
    """One listening server."""

    def __init__(self, stage: Stage, server: Server, number: int) -> None:
        self.stage = stage
        self.server = server
        self.number = number
        self.peers: list[RtmpPublisher] = []

    async def peer(self, trusted: ssl.SSLContext | None = None) -> RtmpPublisher:
        """A connection to it, closed at the end."""
        made = await RtmpPublisher.connect("127.0.0.1", self.number, trusted)
        self.peers.append(made)
        return made


@contextlib.asynccontextmanager
async def listening(
    limits: Limits = SHORT, *, clock: Clock | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[Port]:
    """Listen on a free port; at the end every connection is gone."""
    stage = Stage()
    server = Server(stage, limits, clock or SystemClock())
    number = await server.listen(["127.0.0.1"], 0, context)
    port = Port(stage, server, number)
    try:
        yield port
    finally:
        for peer in port.peers:
            peer.writer.transport.abort()
        await server.close()
        await server.closed()
        assert server.connections == 0
