"""Takes connections from a listening socket, many in one turn of the loop, each with its first bytes where they are there.

The loop's own server takes one in each turn, and a turn costs as much as a third of a viewer (docs/adr/0018).
"""

import asyncio
import os
import socket
from collections.abc import Callable

from gateway.edge.accepting import Taker, take_each
from gateway.edge.lines import Line, Lines
from infra.ports import BACKLOG
from infra.telemetry import logs

log = logs.get(__name__)

#: Connections taken in one turn of the loop, which they hold for about 2 ms; whoever waits longer comes with the next.
TURN = 64
#: Where the system has no descriptor or memory for one more, it is asked again after this; what waits in the queue stays there.
PAUSE_S = 0.5


class Acceptor:
    """One listening socket. To uvicorn it is a server, of which it wants `close` and `wait_closed`."""

    def __init__(
        self, listening: socket.socket, lines: Lines, protocol: Callable[[], asyncio.Protocol], take: Taker = take_each
    ) -> None:
        """*protocol* makes the protocol of a connection; the listening socket is this one's from now on.

        The socket is one of `infra.ports.listen`: connections inherit its options, which the loop would set for each. What has
        come with a connection is given to its protocol whatever that did with the line in `connection_made`.
        """
        self._listening = listening
        self._lines = lines
        self._protocol = protocol
        self._take = take
        self._pausing: asyncio.TimerHandle | None = None
        listening.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._watch()

    def close(self) -> None:
        """Take who waits, and then no more; the listening socket is closed."""
        self._end_pause()
        if self._listening.fileno() < 0:
            return
        # The kernel resets who is left in a queue that is closed, also those whose request has come whole. A queue that never
        # ends is left after as many as it has room for.
        for _ in range(1 + BACKLOG // TURN):
            if not self._turn():
                break
        self.let_go()

    def let_go(self) -> None:
        """Take no more: what waits in the queue is another process's."""
        self._end_pause()
        if self._listening.fileno() >= 0:
            self._lines.loop.remove_reader(self._listening.fileno())
            self._listening.close()

    async def wait_closed(self) -> None:
        """It is."""

    def _end_pause(self) -> None:
        if self._pausing is not None:
            self._pausing.cancel()

    def _watch(self) -> None:
        self._pausing = None
        self._lines.loop.add_reader(self._listening.fileno(), self._turn)

    def _turn(self) -> bool:
        """Take who waits, `TURN` at most; whether there was anybody."""
        taken = self._take(self._listening, TURN)
        for fd, data in taken.connections:
            self._open(fd, data)
        if taken.failure:
            self._pause(taken.failure)
        return bool(taken.connections)

    def _open(self, fd: int, data: bytes) -> None:
        line = Line(self._lines, fd)
        try:
            line.begin()
        except OSError as error:
            log.error("a connection cannot be watched", cause=error.strerror)
            os.close(fd)
            return
        try:
            protocol = self._protocol()
            line.set_protocol(protocol)
            protocol.connection_made(line)
            if data:
                protocol.data_received(data)
        except Exception:
            log.exception("a connection failed")
            line.abort()

    def _pause(self, failure: OSError) -> None:
        """Leave the queue alone for a moment: it stays readable, and asking again at once would be all the loop does."""
        self._end_pause()
        log.error("connections cannot be accepted", cause=failure.strerror, again_in_s=PAUSE_S)
        self._lines.loop.remove_reader(self._listening.fileno())
        self._pausing = self._lines.loop.call_later(PAUSE_S, self._watch)
