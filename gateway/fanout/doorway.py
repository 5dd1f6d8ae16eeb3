"""Where connections come in: most of them ask for events with their first bytes, and are viewers without more ado.

uvicorn's protocol builds a scope, looks up addresses and makes a parser per connection, which is half of what a viewer's
arrival costs; a storm of ten thousand should not pay for it. Everything else, and everything unusual (a request in pieces,
an upgrade, a proxy's header, a fault), is handed to that protocol with all that was read.
"""

import asyncio
import time
from typing import Any, ClassVar

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from gateway.edge import forwarded
from gateway.edge.protocol import LINGER_S, SLACK, EdgeProtocol
from gateway.fanout.admission import Admission, EventsRequest
from gateway.fanout.protocol import EVENTS
from infra.telemetry import metrics

_LIKELY = b"GET /api/v1/streams/"


class Doorway(asyncio.Protocol):
    """A connection that has not said what it wants; `doorway_with` makes the class that uvicorn is given."""

    __slots__ = ("_app_state", "_complete", "_config", "_headers", "_state", "_transport", "_url", "since")

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
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._complete = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # every transport here is one
        """Wait for a request, unless there are far too many connections, or a proxy speaks first."""
        self._transport = transport
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
        if not data.startswith(_LIKELY) or not data.endswith(b"\r\n\r\n"):
            self._hand_over(data)
            return
        try:
            parser = httptools.HttpRequestParser(self)
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._hand_over(data)
            return
        path, _, query = self._url.partition(b"?")
        match = EVENTS.fullmatch(path)
        if match is None or not self._complete or len(self._state.connections) > self.behind.edge.settings.max_connections:
            self._hand_over(data)
            return
        request = EventsRequest.read(match[1].decode("latin-1"), query, self._headers, self._address(), match[2])
        self._state.connections.discard(self)
        self.admission.take(self._transport, request)

    def on_url(self, url: bytes) -> None:
        """The parser found a part of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser found a part of it."""
        self._headers.append((name.lower(), value))

    def on_message_complete(self) -> None:
        """All of it is here; a second request right behind the first is unusual."""
        self._complete = not self._complete

    def eof_received(self) -> bool:
        """It has gone without a word."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """The connection is gone, whoever ended it."""
        self._state.connections.discard(self)

    def answer_last(self) -> None:
        """Nothing is being answered; what comes will be answered last by the protocol behind."""

    def shutdown(self) -> None:
        """The server ends: wait a little for a request that may be on its way."""
        asyncio.get_running_loop().call_later(LINGER_S, self._end_unasked)

    def late(self, now: float) -> bool:
        """Whether it was silent for long enough."""
        return now - self.since > self.behind.edge.settings.request_head_s

    def end_late(self) -> None:
        """Close it: a silent connection would hold its place for ever."""
        metrics.REFUSED.labels("slow").inc()
        self._transport.close()

    def _end_unasked(self) -> None:
        if self._transport.get_protocol() is self:
            self._transport.close()

    def _address(self) -> str:
        settings = self.behind.edge.settings
        if not (settings.trusted_proxies or settings.viewers_per_address):
            return ""
        peer = self._transport.get_extra_info("peername")
        return forwarded.client(peer[0], self._headers, settings.trusted_proxies) if peer else ""

    def _hand_over(self, data: bytes) -> None:
        """Put uvicorn's protocol in this one's place, and let it read what came."""
        self._state.connections.discard(self)
        loop = asyncio.get_running_loop()
        protocol = self.behind(config=self._config, server_state=self._state, app_state=self._app_state, _loop=loop)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.since = self.since
        if data:
            protocol.data_received(data)


def doorway_with(admissions: Admission, protocol: type[EdgeProtocol]) -> type[Doorway]:
    """The class for uvicorn's `http` option: viewers go to *admissions*, everything else to *protocol*."""

    class BoundDoorway(Doorway):
        __slots__ = ()

        admission = admissions
        behind = protocol

    return BoundDoorway
