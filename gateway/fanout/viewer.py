"""One viewer: a transport and a position. No task and no queue: about 2 kB each."""

import asyncio
import random
import socket
from typing import TYPE_CHECKING

from gateway.fanout import sse
from gateway.fanout.crowd import ANONYMOUS

if TYPE_CHECKING:
    from gateway.fanout.audience import Audience

#: The kernel would otherwise hide a slow viewer behind megabytes (562 MB for 200 of them, measured).
SEND_BUFFER = 64 * 1024
#: Past this a viewer is skipped and later made whole from the ring.
HIGH_WATER = 256 * 1024
#: A peer that acknowledges nothing for so long is gone (milliseconds).
USER_TIMEOUT_MS = 30_000
#: Where a viewer that was sent away comes back within.
COME_BACK_MS = (1_000, 5_000)


def come_back_ms() -> int:
    """A jittered `retry:`, so that those who were sent away together do not return together."""
    return random.randint(*COME_BACK_MS)  # noqa: S311 - jitter, not secrecy


class Viewer(asyncio.Protocol):
    """Takes over a connection after its request; the hub writes to its transport."""

    __slots__ = (
        "_drained",
        "audience",
        "closed",
        "comments_only",
        "expires_at",
        "gzip",
        "paused",
        "person",
        "position",
        "transport",
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.audience: Audience | None = None
        #: The `to` of what was last written.
        self.position = 0
        self.gzip = False
        self.comments_only = False
        #: Who it is counted as; several connections of one person are one viewer.
        self.person = ANONYMOUS
        self.expires_at: float | None = None
        self.paused = False
        self.closed = False
        self._drained: asyncio.Future[None] | None = None
        transport.set_write_buffer_limits(high=HIGH_WATER, low=HIGH_WATER // 4)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)

    def data_received(self, data: bytes) -> None:
        """A viewer has nothing to say after its request."""

    def pause_writing(self) -> None:
        """The user-space buffer is above the high-water mark."""
        self.paused = True

    def resume_writing(self) -> None:
        """The buffer is below the low-water mark again."""
        self.paused = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """The connection is gone, whoever ended it."""
        self.closed = True
        self._wake()
        if self.audience is not None:
            self.audience.leave(self)

    def send(self, frame: bytes) -> None:
        """Write a frame that is this viewer's own, deflated where the viewer takes it."""
        if not self.closed:
            self.transport.write(sse.deflated(frame) if self.gzip else frame)

    def write(self, plain: bytes, deflated: bytes) -> None:
        """Write a shared frame."""
        if not self.closed:
            self.transport.write(deflated if self.gzip else plain)

    async def drained(self) -> None:
        """Wait until the buffer is low or the connection gone."""
        while self.paused and not self.closed:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    def end(self, *, come_back: bool = True) -> None:
        """Send what is buffered, and end the connection between two frames."""
        if self.closed:
            return
        if come_back:
            self.send(sse.retry(come_back_ms()))
        self.transport.close()

    def _wake(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
