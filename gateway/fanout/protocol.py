"""uvicorn's HTTP protocol, which hands events to admission and upgrades to the sockets before an ASGI cycle begins.

An ASGI response per viewer costs a task, a queue and 28 kB; a protocol of our own about 2 kB (measured, docs/adr/0003).
"""

import re

import httptools

from gateway.edge.protocol import Edge, EdgeProtocol
from gateway.fanout.admission import Admission, EventsRequest
from gateway.fanout.sockets import Sockets

EVENTS = re.compile(rb"/api/v1/streams/([^/?]+)/events")
SOCKET = re.compile(rb"(?:/api/v1)?/ws")


def protocol_with(admission: Admission, bounds: Edge, sockets: Sockets | None = None) -> type[EdgeProtocol]:
    """The protocol class for uvicorn's `http` option, bound to one gateway's *admission*, *bounds* and *sockets*."""

    class EventsProtocol(EdgeProtocol):
        """Leaves `connections` when it hands over, so that uvicorn's shutdown does not wait for viewers."""

        edge = bounds

        def on_headers_complete(self) -> None:
            # A proxy's client names the whole address (RFC 9112, 3.2.2).
            path = self.url.partition(b"?")[0] if self.url[:1] == b"/" else httptools.parse_url(self.url).path or b""
            match, upgrade = EVENTS.fullmatch(path), sockets if SOCKET.fullmatch(path) else None
            idle = self.cycle is None or self.cycle.response_complete
            if not (match or upgrade) or not idle or self.parser.get_method() != b"GET":
                super().on_headers_complete()
                return
            query = httptools.parse_url(self.url).query or b""
            self.know_client()
            self.arrived()
            self.connections.discard(self)
            self._unset_keepalive_if_required()
            # From here on the parser's remaining callbacks belong to nobody.
            self.parser = None  # type: ignore[assignment]  # as uvicorn itself does when a connection ends
            if match:
                admission.take(
                    self.transport, EventsRequest.read(match[1].decode("latin-1"), query, self.headers, self.address)
                )
            elif upgrade:
                upgrade.take(self.transport, path.decode("latin-1"), query, self.headers, self.address)

        def on_body(self, body: bytes) -> None:
            if self.parser is not None:
                super().on_body(body)

        def on_message_complete(self) -> None:
            if self.parser is not None:
                super().on_message_complete()

        def _unsupported_upgrade_warning(self) -> None:
            """Nothing to warn of: upgrades are ours, and others are answered as if they had not asked."""

    return EventsProtocol
