"""uvicorn's HTTP protocol, which takes what carries the load, and upgrades, before an ASGI cycle begins.

Events go to admission: an ASGI response per viewer costs a task, a queue and 28 kB, a protocol of our own about 2 kB
(docs/adr/0003). Posted comments become exchanges: ASGI, two middlewares and the route table cost more than all the rest of
a post (docs/adr/0008). Every other request, and every post that is out of the ordinary, goes the usual way.
"""

import re
import time
from functools import partial
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

import httptools

from gateway.cycle import Cycle
from gateway.edge.protocol import Edge, EdgeProtocol
from gateway.exchange import Asked, Exchange, Way
from gateway.fanout import plain
from gateway.fanout.admission import Admission, EventsRequest
from gateway.fanout.sockets import Sockets
from gateway.recess import Recess
from infra.telemetry import logs

log = logs.get(__name__)

EVENTS = re.compile(rb"/api/v1/streams/([^/?]+)/(events|replay)")
SOCKET = re.compile(rb"(?:/api/v1)?/ws")
#: An id as the API writes them, and no query: whoever writes it otherwise is answered all the same, by way of ASGI.
COMMENTS = re.compile(rb"/api/v1/streams/([0-9a-f-]{36})/comments")
_POST = re.compile(rb"POST /api/v1/streams/[0-9a-f-]{36}/comments HTTP/")
#: Bytes that may wait unread for a long flush: nearly all comments with their heads have fewer, and 10,000 connections have
#: 40 MB of them. All that waited is read in one turn of the loop, and of posts that follow each other on a connection some.
MOST_UNREAD = 4 * 1024


class GatewayProtocol(EdgeProtocol):
    """Leaves `connections` when it hands over, so that uvicorn's shutdown does not wait for viewers."""

    admission: ClassVar[Admission]
    sockets: ClassVar[Sockets | None]
    posting: ClassVar[Way | None]
    recess: ClassVar[Recess]

    #: Whether the connection is somebody else's, while the parser still reads what came with the request.
    handed_over = False
    #: Whether a post waits unread, and whether its client has stopped sending meanwhile.
    _unread = _silent = False
    #: When what is being read came, by `time.perf_counter`, where it had to wait.
    _came: float | None = None

    def data_received(self, data: bytes) -> None:
        """Take requests; a post that is all there, and the first thing that is said for a while, waits for its turn unread."""
        if _POST.match(data) and self.posting is not None and not self.recess.open and self._may_wait(data):
            self.flow.pause_reading()
            self.idle_since, self.since = None, self.loop.time()
            self._unread = True
            self.recess.hold(partial(self._read, data, time.perf_counter()))
            return
        self._hear(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # as the edge's
        """As the edge has it; whoever posts something that waits unread has asked."""
        if self._unread:
            self._silent = True
            return True
        return super().eof_received()

    @property
    def _at_rest(self) -> bool:
        """Whether what comes now begins a request, and nothing is asked before it."""
        return self.early is None and self.head == 0 and not self._asked

    def _hear(self, data: bytes) -> None:
        """Take a comment that is posted plainly at once; the parser has everything else."""
        # Among too many connections the parser's way refuses it.
        if self.posting is not None and self._at_rest and len(self.connections) <= self.edge.settings.max_connections:
            post = plain.post(data)
            if post is not None:
                self.idle_since = None
                self.arrived()
                asked = Asked(post.stream_id, post.headers, came=self._came or time.perf_counter())
                exchange = Exchange(self, asked, self.posting, self.recess, keep_alive=not self.answered_last)
                exchange.body += post.body
                exchange.more_body = False
                self._queue(exchange)
                return
        super().data_received(data)

    def _may_wait(self, data: bytes) -> bool:
        # Not behind another request: its answer lets the connection be read again, and what follows would be first. And not
        # what has a part yet to come: it would wait a second time for that.
        return self._at_rest and len(data) <= MOST_UNREAD and 0 < data.find(b"\r\n\r\n") < len(data) - 4

    def _read(self, data: bytes, came: float) -> None:
        self._unread, self._came = False, came
        try:
            if self.transport.is_closing():
                return
            self.flow.resume_reading()
            self._hear(data)
            if self._silent and not super().eof_received():
                self.transport.close()
        except Exception:
            log.exception("a request could not be read")
            self.transport.abort()
        finally:
            self._came = None

    def on_message_begin(self) -> None:
        """A request begins; its scope waits until it is known that it goes the way that needs one."""
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """Choose the way a request goes; what follows one that was handed over is nobody's."""
        if self.handed_over:
            return
        method = self.parser.get_method()
        if method == b"POST" and self.posting is not None and (match := COMMENTS.fullmatch(self.url)) and self._is_plain():
            self._exchange(match[1].decode(), self.posting)
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        if method != b"GET" or not self._hand_over():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of a body."""
        if self.parser is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request."""
        if self.parser is not None:
            super().on_message_complete()

    def _hand_over(self) -> bool:
        """Whether the connection is somebody else's from here on: a viewer's, or a WebSocket's."""
        # A proxy's client names the whole address (RFC 9112, 3.2.2).
        path = self.url.partition(b"?")[0] if self.url[:1] == b"/" else httptools.parse_url(self.url).path or b""
        if b"%" in path:
            # The same address, written by whoever encodes more than has to be.
            path = unquote_to_bytes(path)
        match, upgrade = EVENTS.fullmatch(path), self.sockets if SOCKET.fullmatch(path) else None
        idle = self.cycle is None or self.cycle.response_complete
        if not (match or upgrade) or not idle:
            return False
        query = httptools.parse_url(self.url).query or b""
        self.know_client()
        self.arrived()
        self.connections.discard(self)
        self.handed_over = True
        # From here on the parser's remaining callbacks belong to nobody.
        self.parser = None  # type: ignore[assignment]  # as uvicorn itself does when a connection ends
        if match:
            request = EventsRequest.read(match[1].decode("latin-1"), query, self.headers, self.address, match[2])
            if (answering := self.admission.take(self.transport, request)) is not None:
                self.tasks.add(answering)
                answering.add_done_callback(self.tasks.discard)
        elif upgrade:
            upgrade.take(self.transport, path.decode("latin-1"), query, self.headers, self.address)
        return True

    def _is_plain(self) -> bool:
        """Whether nothing is asked of HTTP itself, and there are not too many connections."""
        return not (
            self.expect_100_continue
            or self.parser.should_upgrade()
            or len(self.connections) > self.edge.settings.max_connections
        )

    def _exchange(self, stream_id: str, posting: Way) -> None:
        # As the edge does for every other request: its body is waited for next.
        self.since, self.head = self.loop.time(), None
        asked = Asked(stream_id, dict(reversed(self.headers)), came=self._came or time.perf_counter())
        self._queue(Exchange(self, asked, posting, self.recess, keep_alive=self._keeps_alive()))

    def _keeps_alive(self) -> bool:
        return self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive() and not self.answered_last

    def _queue(self, cycle: Cycle) -> None:
        """Start *cycle* now, or when what was asked before it on this connection has been answered."""
        former = self.cycle
        self.cycle = cycle  # type: ignore[assignment]  # it has what uvicorn uses of its own
        if former is None or former.response_complete:
            cycle.start()
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))  # type: ignore[arg-type]  # as above

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:  # noqa: ANN401 - uvicorn's own cycle or one of ours
        if isinstance(cycle, Cycle):
            cycle.start()
        else:
            super()._start_asgi_task(cycle, app)

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing to warn of: upgrades are ours, and others are answered as if they had not asked."""


def protocol_with(
    admission: Admission,
    bounds: Edge,
    sockets: Sockets | None = None,
    posting: Way | None = None,
    recess: Recess | None = None,
) -> type[GatewayProtocol]:
    """The protocol class bound to one gateway's *admission*, *bounds*, *sockets*, way of *posting* and *recess*.

    Without a way of its own, comments are posted by way of ASGI.
    """
    bound = {"admission": admission, "edge": bounds, "sockets": sockets, "posting": posting, "recess": recess or Recess()}
    return type("GatewayProtocol", (GatewayProtocol,), bound)
