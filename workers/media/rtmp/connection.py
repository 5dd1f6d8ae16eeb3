"""One socket: reads, deadlines, the admission of its key, and the tags that follow.

Three silences are told apart, because each is some peer's normal failure: one that connects and says nothing, one that
shakes hands and never publishes, one that publishes and stops (a laptop that was closed).
"""

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from infra.errors import Unavailable
from infra.telemetry import logs, metrics
from workers.media.broadcasts import Broadcasts
from workers.media.flv import Tag, Unsupported
from workers.media.rtmp.errors import ProtocolError
from workers.media.rtmp.session import Event, MediaReceived, PublishEnded, PublishRequested, Session
from workers.media.streams import KeyRefused

if TYPE_CHECKING:
    from workers.media.broadcast import Broadcast

HANDSHAKE_S = 5.0
PUBLISH_S = 10.0
#: Encoders send sound every 20-40 ms; what is silent this long is gone, whatever its socket says.
SILENCE_S = 10.0
#: What a peer may take to close after it said deleteStream, or to read why it was refused.
CLOSE_S = 2.0
_READ = 64 * 1024


class Connection:
    """A `Publisher` over RTMP. `run` returns when the connection is over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, broadcasts: Broadcasts) -> None:
        self._reader = reader
        self._writer = writer
        self._broadcasts = broadcasts
        self._session = Session()
        self._broadcast: Broadcast | None = None
        self._over = False
        self._deadline = 0.0
        # Four parts for IPv6, two for IPv4, none for a peer that is gone already.
        address = writer.get_extra_info("peername") or ("?",)
        self._peer = str(address[0])
        self._log = logs.get(__name__).bind(peer=self._peer)

    @property
    def peer(self) -> str:
        """The address it came from."""
        return self._peer

    def cut(self, reason: str) -> None:
        """Say why and close, at once."""
        if self._over:
            return
        self._over = True
        self._log.info("publisher cut", reason=reason)
        self._session.status("error", "NetStream.Publish.BadName", reason)
        self._flush()
        self._close()

    async def run(self) -> None:
        """Serve the peer until either side closes."""
        self._set_options()
        try:
            await self._serve()
        except ProtocolError as error:
            self._log.info("rtmp peer refused", error=str(error))
        except TimeoutError:
            self._log.info("rtmp peer silent", handshaken=self._session.handshaken, publishing=self._broadcast is not None)
        except OSError as error:
            self._log.debug("rtmp peer lost", error=str(error))
        finally:
            if self._broadcast is not None:
                metrics.PUBLISHERS.dec()
                self._broadcast.leave(self)
            self._flush()
            self._close()

    async def _serve(self) -> None:
        started = asyncio.get_running_loop().time()
        self._deadline = started + HANDSHAKE_S
        while True:
            async with asyncio.timeout_at(self._deadline):
                data = await self._reader.read(_READ)
            if not data:
                return
            for event in self._session.feed(data):
                await self._handle(event)
                if self._over:
                    return
            if self._broadcast is None and self._session.handshaken:
                self._deadline = started + PUBLISH_S
            self._flush()

    async def _handle(self, event: Event) -> None:
        match event:
            case PublishRequested(key):
                await self._admit(key)
            case MediaReceived(kind, timestamp, payload):
                self._deadline = asyncio.get_running_loop().time() + SILENCE_S
                if self._broadcast is not None:
                    metrics.INGEST_BYTES.inc(len(payload))
                    try:
                        self._broadcast.take(self, Tag(kind, timestamp, payload))
                    except Unsupported as error:
                        self.cut(str(error))
            case PublishEnded():
                if self._broadcast is not None:
                    self._broadcast.leave(self)
                self._deadline = asyncio.get_running_loop().time() + CLOSE_S

    async def _admit(self, key: str) -> None:
        self._flush()
        try:
            self._broadcast = await self._broadcasts.admit(key, self)
        except KeyRefused as error:
            self._log.info("stream key refused", reason=str(error))
            metrics.PUBLISH_REFUSED.labels("key").inc()
            await self._refuse(str(error))
        except Unavailable as error:
            self._log.warning("stream key could not be checked", error=str(error))
            metrics.PUBLISH_REFUSED.labels("unavailable").inc()
            await self._refuse("The server cannot check the stream key right now; try again.")
        else:
            metrics.PUBLISHERS.inc()
            self._session.accept()
            self._deadline = asyncio.get_running_loop().time() + SILENCE_S
            self._flush()

    async def _refuse(self, reason: str) -> None:
        """Refuse, and give the peer time to read why: closing with unread bytes in our buffer would reset it."""
        self._session.refuse(reason)
        self._over = True
        self._flush()
        with contextlib.suppress(OSError, TimeoutError):
            self._writer.write_eof()
            async with asyncio.timeout(CLOSE_S):
                while await self._reader.read(_READ):
                    pass

    def _flush(self) -> None:
        out = self._session.take_output()
        if out and not self._writer.is_closing():
            self._writer.write(out)

    def _close(self) -> None:
        self._writer.close()
        # A peer that does not read keeps a closing socket open for ever.
        asyncio.get_running_loop().call_later(CLOSE_S, self._writer.transport.abort)

    def _set_options(self) -> None:
        raw = self._writer.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
