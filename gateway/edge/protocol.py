"""uvicorn's HTTP protocol with bounds, for every connection of this process, whatever it becomes later.

uvicorn itself closes a connection that is idle after an answer, and nothing else: one that sends nothing at all, or half a
request, stays for ever, and past its `limit_concurrency` it answers in plain text.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway import problems
from gateway.edge import forwarded, proxyheader
from gateway.edge.proxyheader import BadHeader, NotProxied, ProxyHeader
from gateway.problems import Problem
from infra.settings import Settings
from infra.telemetry import logs, metrics

log = logs.get(__name__)

#: Connections past the bound are still read, to be answered; past the bound and this share of it they are closed unread.
SLACK = 0.5
#: From this share of the bound on answers end their connections: who holds many open and idle would otherwise keep them.
CROWDED = 0.75
#: Bytes of a request's head: credentials and cookies fit many times. llhttp itself sets no bound.
MAX_HEAD = 32 * 1024
#: A connection that has said nothing yet when the server ends, or was answered less than `RECENT_S` ago, may have a request
#: on the way: it is waited for so long.
LINGER_S = 2.0
RECENT_S = 1.0
#: Bytes of a body that are still taken after its answer, so that whoever sends a little too much reads why; past them it is cut
#: (a refused body of 2 GB was read to its end otherwise).
MAX_UNWANTED = 256 * 1024
#: HTTP/2 over cleartext is offered with any first request by the JDK's client and `curl --http2`. We decline by not seeing it:
#: the parser would stop at the head, and take the body for another request.
_H2C = re.compile(rb"(?<=\r\n)upgrade(?=:[ \t]*h2c[ \t]*\r\n)", re.IGNORECASE)


def without_h2c(data: bytes) -> bytes:
    """A piece of a request's head whose offer of HTTP/2 nobody sees; a body behind it is left as it is."""
    if b"h2c" not in data:
        return data
    head, end, body = data.partition(b"\r\n\r\n")
    return _H2C.sub(b"x-upgrade", head + end[:2]) + end[2:] + body


class Edge:
    """What the connections of one gateway have in common."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: From the beginning of the end: every answer ends its connection.
        self.draining = False

    async def full(self, _scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:  # noqa: ANN401 - ASGI
        """Answer that there are too many connections."""
        metrics.REFUSED.labels("connections").inc()
        problem = Problem("UNAVAILABLE", "This gateway has all the connections it takes; try again.", retry_after=1)
        status, headers, body = problems.render(problem)
        headers += [
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            (b"access-control-allow-origin", b"*"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Bounded(Protocol):
    """A connection whose silence and whose end are looked after."""

    def answer_last(self) -> None:
        """Let the answer in work, if any, end the connection."""

    def late(self, now: float) -> bool:
        """Whether it was waited for long enough."""

    def end_late(self) -> None:
        """Close it."""


class EdgeProtocol(HttpToolsProtocol):
    """A subclass that answers a request by itself calls `arrived` when it has all of it."""

    edge: ClassVar[Edge]

    #: Since when something is waited for: the proxy's header and a request's head, or its body. `None`: nothing is.
    since: float | None = None
    #: What has come of the proxy's header; `None` when none is expected (any more).
    early: bytes | None = None
    #: Bytes of a head that has no end yet; `None` once it has.
    head: int | None = 0
    #: What was refused while whole requests before it were still being answered.
    refusal: Problem | None = None
    #: Since when nothing is asked, after an answer. uvicorn sets a timer for each answer, which costs more than its bytes.
    idle_since: float | None = None
    #: Bytes of a body that came after its answer.
    unwanted: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own signature
        """Begin to wait for a request, unless there are far too many connections."""
        super().connection_made(transport)
        self.since = self.loop.time()
        settings = self.edge.settings
        if len(self.connections) > settings.max_connections * (1 + SLACK):
            metrics.REFUSED.labels("connections").inc()
            transport.abort()
        elif settings.proxy_protocol != "off" and self.client is not None and self.client[0] in settings.trusted_proxies:
            self.early = b""

    def data_received(self, data: bytes) -> None:
        """Take the proxy's header first, where one is due; then requests."""
        if self.early is not None:
            data = self._after_header(self.early + data)
            if not data:
                return
        self.idle_since = None
        if self.since is None:
            self.since = self.loop.time()
        if self.head is not None:
            data = without_h2c(data)
        super().data_received(data)
        if self.head is not None and self.since is not None:
            self.head += len(data)
            if self.head > MAX_HEAD:
                self._refuse(Problem("VALIDATION", f"A request's head may have {MAX_HEAD} bytes.", status=431))

    def on_headers_complete(self) -> None:
        """Begin to wait for the body; then to the application, or to the one that says no."""
        self.since, self.head, self.unwanted = self.loop.time(), None, 0
        self.know_client()
        if len(self.connections) > self.edge.settings.max_connections:
            self.app = self.edge.full
        super().on_headers_complete()
        if self.answered_last or self.parser.should_upgrade():
            # After an upgrade that is not ours, what follows is not known to be a request.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of it; whoever goes on for long after the answer is cut off."""
        super().on_body(body)
        if self.cycle.response_complete:
            self.unwanted += len(body)
            if self.unwanted > MAX_UNWANTED:
                self.transport.abort()

    def on_message_complete(self) -> None:
        """All of it is here."""
        self.arrived()
        super().on_message_complete()

    def arrived(self) -> None:
        """Nothing is waited for until the next request begins."""
        self.since, self.head = None, 0

    @property
    def answered_last(self) -> bool:
        """Whether the answer to this request ends the connection."""
        return self.edge.draining or len(self.connections) > self.edge.settings.max_connections * CROWDED

    def know_client(self) -> None:
        """Put the client that trusted proxies speak for into the request's scope."""
        trusted = self.edge.settings.trusted_proxies
        if not trusted or self.client is None or self.client[0] not in trusted:
            return
        address = forwarded.client(self.client[0], self.headers, trusted)
        if address != self.client[0]:
            # Its port is the proxy's secret.
            self.scope["client"] = (address, 0)
        if (scheme := forwarded.scheme(self.headers)) is not None:
            self.scope["scheme"] = scheme

    @property
    def address(self) -> str:
        """The client's address, in the course of a request; empty where the transport has none."""
        client = self.scope["client"]
        return client[0] if client else ""

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn never keeps a connection open here
        """A client that has sent a whole request and then stops sending gets its answer; any other has gone."""
        if not self._asked or self.cycle.more_body:
            return False
        self.answer_last()
        return True

    def answer_last(self) -> None:
        """Let the answer in work, if any, end the connection."""
        if self._asked:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """The server ends: answer what was asked, wait a little for what may be on its way, and close."""
        if self._asked:
            self.cycle.keep_alive = False
        elif self.since is not None or self._answered_just_now():
            self.loop.call_later(LINGER_S, self._end_unasked)
        else:
            self.transport.close()

    def late(self, now: float) -> bool:
        """Whether it was waited for long enough."""
        if self.since is not None:
            return now - self.since > self.edge.settings.request_head_s
        return self.idle_since is not None and now - self.idle_since > self.timeout_keep_alive

    def end_late(self) -> None:
        """Close it: a request that comes a byte at a time would hold its place for ever, and so would one that never comes."""
        if self.since is not None:
            metrics.REFUSED.labels("slow").inc()
        self.transport.close()

    @property
    def _asked(self) -> bool:
        """Whether a request is being answered, or its body awaited."""
        return self.cycle is not None and not self.cycle.response_complete

    def _answered_just_now(self) -> bool:
        return self.idle_since is not None and self.loop.time() - self.idle_since < RECENT_S

    def _end_unasked(self) -> None:
        if not self._asked and not self.transport.is_closing():
            self.transport.close()

    def _after_header(self, data: bytes) -> bytes:
        """What follows the proxy's header; nothing while it is incomplete, or when the connection is cut for it."""
        header: ProxyHeader | None
        try:
            header = proxyheader.parse(data)
        except NotProxied:
            if self.edge.settings.proxy_protocol == "required":
                return self._cut("no header")
            header = ProxyHeader(None, 0)
        except BadHeader as error:
            return self._cut(str(error))
        if header is None:
            self.early = data
            return b""
        self.early = None
        if header.client is not None:
            self.client = header.client
        return data[header.length :]

    def _cut(self, fault: str) -> bytes:
        metrics.REFUSED.labels("proxy").inc()
        log.warning("bad PROXY protocol", peer=self.client, fault=fault)
        self.transport.abort()
        return b""

    def on_response_complete(self) -> None:
        """The next request's turn; after the last one, that of what was no request."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.idle_since = self.loop.time()
        if self.refusal is not None and not self._asked:
            self._refuse(self.refusal)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words, and its own signature
        """Refuse what is no HTTP."""
        self._refuse(Problem("VALIDATION", "This is no HTTP request that this server can read.", status=400))

    def _refuse(self, problem: Problem) -> None:
        """Answer with *problem*, after the whole requests ahead of what it is about, and end the connection."""
        if self._asked and not self.cycle.more_body:
            self.refusal = problem
            self.flow.pause_reading()
            return
        status, headers, body = problems.render(problem)
        lines = [b"HTTP/1.1 %d Refused\r\n" % status, *(b"%b: %b\r\n" % pair for pair in headers)]
        lines.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        self.transport.write(b"".join(lines) + body)
        self.transport.close()
