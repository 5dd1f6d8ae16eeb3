"""A TCP connection with one deadline that moves, and a bound on what the peer leaves unread."""

import asyncio
import contextlib
import socket

from workers.media.rtmp.errors import ProtocolError

_READ = 64 * 1024
#: A peer gets some hundred bytes per megabyte it sends; one that asks and never reads would have us keep its answers.
MAX_UNREAD = 64 * 1024
#: Milliseconds after which the kernel gives up a peer that acknowledges nothing, and seconds between its own questions.
_UNACKNOWLEDGED_MS = 10_000
_KEEPALIVE_S = 5


class Wire:
    """The two ends of a stream as one, until `close`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time()
        self._alarm: asyncio.TimerHandle | None = None
        # Four parts for IPv6, two for IPv4, none for a peer that is gone already.
        self.address = str((writer.get_extra_info("peername") or ("?",))[0])
        self._set_options()

    def now(self) -> float:
        """Seconds on the clock of deadlines."""
        return self._loop.time()

    def until(self, deadline: float) -> None:
        """Wait for the peer until *deadline*, from now on; also where a `read` is waiting already."""
        self._deadline = deadline
        # One timer that is set anew when it rings too early: a publisher moves its deadline a hundred times a second.
        if self._alarm is None or deadline < self._alarm.when():
            self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_at(self._deadline, self._rung)

    def _rung(self) -> None:
        if self.now() < self._deadline:
            self._set_alarm()
        else:
            self._reader.set_exception(TimeoutError())

    async def read(self) -> bytes:
        """What came next; nothing at the peer's end.

        Raises:
            TimeoutError: the deadline is over. It is looked at before waiting, too: a peer that never pauses has one as well.
            OSError: the connection is lost.
        """
        if self.now() >= self._deadline:
            raise TimeoutError
        return await self._reader.read(_READ)

    def write(self, data: bytes) -> None:
        """Send *data*; does not wait."""
        if data and not self._writer.is_closing():
            self._writer.write(data)

    def check(self) -> None:
        """Look at what the peer has not read.

        Raises:
            ProtocolError: it is too much.
        """
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD:
            self._writer.transport.abort()
            msg = f"the peer leaves more than {MAX_UNREAD} bytes of answers unread"
            raise ProtocolError(msg)

    def end(self, seconds: float) -> None:
        """Say nothing more, and wait for the peer's end for *seconds*."""
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write_eof()
        self.until(self.now() + seconds)

    def close(self, seconds: float) -> None:
        """Close; a peer that has not read what was said is dropped after *seconds*: its socket would stay for ever."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._writer.close()
        self._loop.call_later(seconds, self._writer.transport.abort)

    def _set_options(self) -> None:
        raw = self._writer.get_extra_info("socket")
        if raw is None:
            return
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Names that only some systems have.
        for name, value in (
            ("TCP_KEEPIDLE", _KEEPALIVE_S),
            ("TCP_KEEPINTVL", _KEEPALIVE_S),
            ("TCP_KEEPCNT", 2),
            ("TCP_USER_TIMEOUT", _UNACKNOWLEDGED_MS),
        ):
            option = getattr(socket, name, None)
            if option is not None:
                raw.setsockopt(socket.IPPROTO_TCP, option, value)
