"""Light connections: a descriptor, and what its peer has not taken yet.

The event loop's own transport makes five objects, a buffer and seven system calls of a connection, and turns once for each
that is accepted. A line is one object, and all lines are watched through one epoll descriptor, which is all that the loop
knows of them. A connection that turns out to be more than a viewer is taken off and given to the loop (docs/adr/0018).
"""

import asyncio
import os
import select
import socket
from typing import Any

#: Bytes read at a time: a viewer has nothing to say after its request.
READ = 16 * 1024
#: Lines that are heard in one turn of the loop: each may be a request to answer, which takes about 40 us.
TURN = 128


class Lines:
    """All lines of a process."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.open: dict[int, Line] = {}
        self._epoll = select.epoll()
        self.watch, self.change = self._epoll.register, self._epoll.modify
        loop.add_reader(self._epoll.fileno(), self._hear)

    def forget(self, line: "Line") -> None:
        """Watch *line* no longer; before its descriptor is closed or another's."""
        # A child that is between fork and exec holds the descriptor too: closing ours would not take it off.
        self._epoll.unregister(line.fd)
        del self.open[line.fd]

    def close(self) -> None:
        """End what is left, at once."""
        for line in list(self.open.values()):
            line.cut(None)
        self.loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _hear(self) -> None:
        for fd, events in self._epoll.poll(0, TURN):
            # Whoever was called before may have ended this one.
            if (line := self.open.get(fd)) is not None:
                line.happened(events)


class Line(asyncio.Transport):
    """One connection. Nothing waits for its peer but what a write left over: anything at all that waits pauses its protocol.

    As with every transport, `connection_lost` comes once, in a later turn than the call that ended it. A peer that stops
    sending has gone: half a connection is not kept, whatever `eof_received` says.
    """

    __slots__ = ("_ended", "_ending", "_lines", "_protocol", "_waiting", "fd")

    def __init__(self, lines: Lines, fd: int) -> None:
        """Take over *fd*, a connected socket that does not block; reading begins with `begin`."""
        self.fd = fd
        self._lines = lines
        self._protocol: asyncio.Protocol | None = None
        #: What the peer has not taken yet: of a frame that many are written a view, not a copy for each.
        self._waiting: bytes | memoryview = b""
        #: No more is read or taken; then: `connection_lost` is on its way, or the descriptor is another's.
        self._ending = self._ended = False

    def begin(self) -> None:
        """Be heard.

        Raises:
            OSError: the kernel watches no more descriptors; this one is still the caller's.
        """
        self._lines.watch(self.fd, select.EPOLLIN)
        self._lines.open[self.fd] = self

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who is told from now on."""
        self._protocol = protocol  # type: ignore[assignment]  # a transport's protocol is one that reads

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told."""
        return self._protocol  # type: ignore[return-value]  # nobody asks once it is lost

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's own signature
        """`peername`; a line has nothing else to tell."""
        if name != "peername" or self._ended:
            return default
        shown = socket.socket(fileno=self.fd)
        try:
            return shown.getpeername()
        except OSError:
            return default
        finally:
            shown.detach()

    def is_closing(self) -> bool:
        """Whether it is ending or has ended."""
        return self._ending

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """They are 0, whatever is asked."""

    def get_write_buffer_size(self) -> int:
        """Bytes that wait for the peer."""
        return len(self._waiting)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write as much as the peer takes now; the rest waits, and the protocol is told to pause."""
        if self._ending or not data:
            return
        if self._waiting:
            self._waiting = b"".join((self._waiting, data))
            return
        try:
            took = os.write(self.fd, data)
        except (BlockingIOError, InterruptedError):
            took = 0
        except OSError as error:
            self._end(error)
            return
        if took == len(data):
            return
        rest = memoryview(data)[took:]
        self._waiting = rest if rest.readonly else bytes(rest)
        self._lines.change(self.fd, select.EPOLLIN | select.EPOLLOUT)
        self._tell("pause_writing")

    def close(self) -> None:
        """Write what waits, then end; nothing is read from now on."""
        if self._ending:
            return
        self._ending = True
        if self._waiting:
            self._lines.change(self.fd, select.EPOLLOUT)
        else:
            self._end(None)

    def abort(self) -> None:
        """End it; what waits is dropped."""
        self._end(None)

    def detach(self) -> int:
        """Give its descriptor away, which nobody watches or reads any more."""
        self._lines.forget(self)
        self._ending = self._ended = True
        self._protocol = None
        return self.fd

    def happened(self, events: int) -> None:
        """The peer has said something, has taken something, or has gone."""
        if self._ended:
            return
        if self._waiting and events & ~select.EPOLLIN:
            self._flush()
        if not self._ending and events & ~select.EPOLLOUT:
            self._read()

    def cut(self, error: Exception | None) -> None:
        """Tell the protocol, and close the descriptor; once."""
        if self._lines.open.get(self.fd) is not self:
            return
        self._ending = self._ended = True
        protocol, self._protocol = self._protocol, None
        self._lines.forget(self)
        try:
            if protocol is not None:
                protocol.connection_lost(error)
        finally:
            os.close(self.fd)

    def _read(self) -> None:
        try:
            data = os.read(self.fd, READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            self._tell("data_received", data)
        else:
            self._tell("eof_received")
            self.close()

    def _flush(self) -> None:
        try:
            took = os.write(self.fd, self._waiting)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        self._waiting = self._waiting[took:]
        if self._waiting:
            return
        if self._ending:
            self._end(None)
            return
        self._lines.change(self.fd, select.EPOLLIN)
        self._tell("resume_writing")

    def _tell(self, call: str, *what: bytes) -> object:
        try:
            return getattr(self._protocol, call)(*what)
        except Exception as error:  # noqa: BLE001 - one connection's fault is not the others'
            self._lines.loop.call_exception_handler(
                {"message": f"{call} failed", "exception": error, "transport": self, "protocol": self._protocol}
            )
            self._end(error)
            return None

    def _end(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._ending = self._ended = True
        self._waiting = b""
        self._lines.loop.call_soon(self.cut, error)
