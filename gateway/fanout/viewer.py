"""One viewer: a transport and a position. No task and no queue: about 2 kB each."""

import asyncio
import ctypes
import os
import random
import socket
from typing import TYPE_CHECKING, ClassVar

from gateway.edge.lines import Line
from gateway.fanout import sse
from gateway.fanout.crowd import ANONYMOUS
from gateway.fanout.deflate import packed
from gateway.fanout.wire import Wire

if TYPE_CHECKING:
    from gateway.auth import Principal
    from gateway.fanout.audience import Audience
    from gateway.fanout.lane import Roll

#: The kernel would otherwise hide a slow viewer behind megabytes (562 MB for 200 of them, measured). What waits in user space
#: is the rest of one write: a window, or a step of catching up; past that a viewer is skipped.
SEND_BUFFER = 64 * 1024
#: What waits for a viewer that is ended may be taken for so long: a peer that reads a little now and then would keep its place
#: for ever. One that may not watch any more has what is left of the 2 s in which it is cut (it was looked for first).
LEAVE_S, EXPELLED_S = 10.0, 0.5
#: Where a viewer that was sent away comes back within.
COME_BACK_MS = (1_000, 5_000)


def come_back_ms() -> int:
    """A jittered `retry:`, so that those who were sent away together do not return together."""
    return random.randint(*COME_BACK_MS)  # noqa: S311 - jitter, not secrecy


#: An option of a descriptor. uvloop's stand-in for a socket makes a real one for each option, with two system calls of its own.
_setsockopt = ctypes.CDLL(None, use_errno=True).setsockopt
_setsockopt.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.c_uint)


def bounded(transport: asyncio.Transport) -> int:
    """Bound what waits for a peer, in the kernel and in user space; the descriptor to write to.

    How long a peer may acknowledge nothing its listening socket has set (`infra.ports.listen`).
    """
    if isinstance(transport, Line):
        # It bounds user space itself.
        _set(transport.fd, socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        return transport.fd
    # Paused means "anything at all waits in user space".
    transport.set_write_buffer_limits(high=0)
    shown = transport.get_extra_info("socket")
    fd: int = shown.fileno()
    if shown.family in (socket.AF_INET, socket.AF_INET6):
        _set(fd, socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return fd


def _set(fd: int, level: int, option: int, value: int) -> None:
    if _setsockopt(fd, level, option, ctypes.c_int(value), 4):
        raise OSError(errno := ctypes.get_errno(), os.strerror(errno))


class Viewer(asyncio.Protocol):
    """Takes over a connection after its request; the hub writes to its socket.

    It is either live (`roll` is set: it gets what its roll gets), or being brought forward (`busy`), or waiting until its
    buffer is empty (`paused`). While it is not paused nothing of its own waits in user space, so that a shared frame may
    be written to the socket directly.
    """

    #: Whether it takes a connection's room: a seat's connection has it already.
    takes_room: ClassVar[bool] = True

    __slots__ = (
        "audience",
        "busy",
        "closed",
        "cohort",
        "comments_only",
        "expires_at",
        "fd",
        "greeted",
        "gzip",
        "head",
        "named",
        "paused",
        "person",
        "place",
        "position",
        "principal",
        "roll",
        "transport",
        "wire",
    )

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.audience: Audience | None = None
        self.roll: Roll | None = None
        #: The `to` of what was last written, while it is not live; live, it is the audience's.
        self.position = 0
        self.wire: Wire = sse
        self.gzip = False
        self.comments_only = False
        #: Who it is counted as; several connections of one person are one viewer.
        self.person = ANONYMOUS
        #: Which sample it is shown where a stream is sampled.
        self.cohort = 0
        #: Whose credential it came with; who may watch can change while it is here.
        self.principal: Principal | None = None
        #: Whether a credential says who it is, and what its address is counted as: `gateway.edge.quotas`.
        self.named = False
        self.place = ""
        self.expires_at: float | None = None
        #: What its first write begins with: one write for head and first delivery halves the cost of a storm's.
        self.head = b""
        #: Whether it knows the viewer count.
        self.greeted = False
        self.busy = False
        self.paused = False
        self.closed = False
        self.fd = bounded(transport)

    def data_received(self, data: bytes) -> None:
        """A viewer has nothing to say after its request."""

    def eof_received(self) -> bool:
        """A peer that stops sending has gone: one that closed says the same, and nobody watches half a connection."""
        return False

    def pause_writing(self) -> None:
        """Something waits in user space."""
        self.paused = True
        if self.roll is not None and self.audience is not None:
            # It was this viewer's own: a shared frame that falls short takes it off the roll first.
            self.audience.stand_back(self)

    def resume_writing(self) -> None:
        """The buffer is empty again."""
        self.paused = False
        if self.audience is not None and self.roll is None and not self.busy:
            self.audience.on_returned(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """The connection is gone, whoever ended it."""
        self.closed = True
        if self.roll is not None:
            self.roll.discard(self)
        if self.audience is not None:
            self.audience.leave(self)

    def send(self, frame: bytes) -> None:
        """Write a frame that is this viewer's own, packed on its own where the viewer takes gzip.

        Only while it is not live: in a running epoch it would garble everything after it.
        """
        self.write(self.encoded(frame))

    def begin(self) -> None:
        """Send the head now, where what follows may be long in coming."""
        if self.head:
            self.write(b"")

    def encoded(self, frame: bytes) -> bytes:
        """A frame of its own as it goes over the line."""
        return packed(frame) if self.gzip else frame

    def write(self, data: bytes | memoryview) -> None:
        """Write bytes that are encoded for it already."""
        if self.closed:
            return
        if self.head:
            data, self.head = self.head + data, b""
        self.transport.write(data)

    def expel(self) -> None:
        """End it because it may not watch any more: coming back, it is told that there is nothing."""
        self.end(come_back=False)

    def end(self, *, come_back: bool = True) -> None:
        """Send what is buffered, and end the connection between two frames; what is not taken in time is dropped."""
        if self.closed:
            return
        if self.roll is not None:
            self.roll.discard(self)
        if come_back:
            self.send(self.wire.retry(come_back_ms()))
        # What is buffered may be long in going: until then nothing may be written to it, and nobody may make it live again.
        self.closed = True
        self.transport.close()
        if self.transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(LEAVE_S if come_back else EXPELLED_S, self.transport.abort)
