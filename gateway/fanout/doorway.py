"""Where connections come in: most of them ask for events with their first bytes, and are viewers without more ado.

uvicorn's protocol builds a scope, looks up addresses and makes a parser per connection, which is half of what a viewer's
arrival costs; a storm of ten thousand should not pay for it. Everything else, and everything unusual (a request in pieces,
a body, an upgrade, a proxy's header, a fault), is handed to that protocol with all that was read.
"""

import asyncio
import re
import socket
import time
from typing import Any, ClassVar

from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.edge import forwarded
from gateway.edge.lines import Line
from gateway.edge.protocol import LINGER_S, SLACK, EdgeProtocol
from gateway.fanout.admission import Admission, EventsRequest
from gateway.fanout.plain import LINES
from infra.telemetry import logs, metrics

log = logs.get(__name__)

#: A whole head as clients write it (`plain.LINES`); an address with escapes or a fragment the parser behind reads otherwise.
_PLAIN = re.compile(rb"GET /api/v1/streams/([\w-]++)/(events|replay)(?:\?([!-\"$-~]*+))? HTTP/1\.[01]" + LINES)
#: Headers that decide something here; the others are read over.
_MATTERS = re.compile(
    rb"\n((?i:authorization|cookie|accept-encoding|last-event-id|x-forwarded-for"
    rb"|content-length|transfer-encoding|upgrade|expect)):[\t ]*+([^\r]*)"
)
#: With one of these there is more to a request than its head.
_MORE = frozenset({b"content-length", b"transfer-encoding", b"upgrade", b"expect"})


class Doorway(asyncio.Protocol):
    """A connection that has not said what it wants; `doorway_with` makes the class that uvicorn is given."""

    __slots__ = ("_app_state", "_config", "_early", "_ending", "_silent", "_state", "_transport", "since")

    admission: ClassVar[Admission]
    behind: ClassVar[type[EdgeProtocol]]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._state = server_state
        self._app_state = app_state
        #: What was read of a connection that is on its way to the loop's own transport.
        self._early: bytes | None = None
        #: Whether its peer has stopped sending since.
        self._silent = False
        self._ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # every transport here is one
        """Wait for a request, unless there are far too many connections, or a proxy speaks first."""
        self._transport = transport
        if self._early is not None:
            # On its way, and not to be passed on yet: uvloop begins to read when this is over, whatever was paused within it.
            return
        # The loop's own clock, without asking the system which process this is, as finding the loop does.
        self.since = time.monotonic()
        connections, settings = self._state.connections, self.behind.edge.settings
        connections.add(self)  # type: ignore[arg-type]  # it has what uvicorn asks of one: `shutdown`
        if len(connections) > settings.max_connections * (1 + SLACK):
            metrics.REFUSED.labels("connections").inc()
            transport.abort()
        elif settings.proxy_protocol != "off":
            self._hand_over(b"")

    def data_received(self, data: bytes) -> None:
        """Admit a viewer, or let the protocol behind read it."""
        if self._early is not None:
            self._early += data
            return
        if self._transport.is_closing():
            return
        plain = _PLAIN.fullmatch(data)
        if plain is None or len(self._state.connections) > self.behind.edge.settings.max_connections:
            self._hand_over(data)
            return
        stream_id, kind, query, lines = plain.groups(b"")
        headers = [(name.lower(), value.rstrip(b"\t ")) for name, value in _MATTERS.findall(lines)]
        if not _MORE.isdisjoint([name for name, _ in headers]):
            self._hand_over(data)
            return
        request = EventsRequest.read(stream_id.decode(), query, headers, self._address(headers), kind)
        self._state.connections.discard(self)
        if (answering := self.admission.take(self._transport, request)) is not None:
            self._keep(answering)

    def eof_received(self) -> bool:
        """It has gone without a word, or waits for the answer to what is on its way."""
        self._silent = True
        return self._early is not None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """The connection is gone, whoever ended it."""
        self._state.connections.discard(self)

    def answer_last(self) -> None:
        """Nothing is being answered; what comes will be answered last by the protocol behind."""

    def shutdown(self) -> None:
        """The server ends: wait a little for a request that may be on its way."""
        self._ending = True
        asyncio.get_running_loop().call_later(LINGER_S, self._end_unasked)

    def late(self, now: float) -> bool:
        """Whether it was silent for long enough."""
        return self._early is None and now - self.since > self.behind.edge.settings.request_head_s

    def end_late(self) -> None:
        """Close it: a silent connection would hold its place for ever."""
        metrics.REFUSED.labels("slow").inc()
        self._transport.close()

    def _end_unasked(self) -> None:
        if self._early is None and self._transport.get_protocol() is self:
            self._transport.close()

    def _address(self, headers: list[tuple[bytes, bytes]]) -> str:
        settings = self.behind.edge.settings
        if not (settings.trusted_proxies or settings.viewers_per_address):
            return ""
        peer = self._transport.get_extra_info("peername")
        return forwarded.client(peer[0], headers, settings.trusted_proxies) if peer else ""

    def _hand_over(self, data: bytes) -> None:
        """Let uvicorn's protocol read what came, on a transport that can all that it needs."""
        if not isinstance(self._transport, Line):
            self._pass_on(data)
            return
        # It counts as a connection meanwhile.
        self._early = data
        connected = socket.socket(fileno=self._transport.detach())
        self._keep(asyncio.get_running_loop().create_task(self._move(connected)))

    def _keep(self, work: asyncio.Task[None]) -> None:
        """Uvicorn waits for it at the end, and cancels what takes too long."""
        self._state.tasks.add(work)
        work.add_done_callback(self._state.tasks.discard)

    async def _move(self, connected: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: self, connected)
        except OSError as error:
            log.warning("a connection was lost", cause=str(error))
            connected.close()
        else:
            self._moved()
        finally:
            self._state.connections.discard(self)

    def _moved(self) -> None:
        if self._transport.is_closing():
            return
        try:
            self._pass_on(self._early or b"")
        except Exception:
            log.exception("a connection failed")
            self._transport.abort()

    def _pass_on(self, data: bytes) -> None:
        """Put uvicorn's protocol in this one's place."""
        self._state.connections.discard(self)
        loop = asyncio.get_running_loop()
        protocol = self.behind(config=self._config, server_state=self._state, app_state=self._app_state, _loop=loop)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.since = self.since
        if data:
            protocol.data_received(data)
        if self._silent and not protocol.eof_received():
            self._transport.close()
        # Unless it is no longer uvicorn's: then who took it ends it.
        if self._ending and protocol in self._state.connections:
            protocol.shutdown()


def doorway_with(admissions: Admission, protocol: type[EdgeProtocol]) -> type[Doorway]:
    """The class for uvicorn's `http` option: viewers go to *admissions*, everything else to *protocol*."""

    class BoundDoorway(Doorway):
        __slots__ = ()

        admission = admissions
        behind = protocol

    return BoundDoorway
