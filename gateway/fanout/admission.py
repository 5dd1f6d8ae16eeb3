"""An events request, checked and turned into a viewer; or into a problem document, before any event is written."""

import asyncio
from http.cookies import CookieError, SimpleCookie
from typing import Protocol
from urllib.parse import parse_qs

from msgspec import Struct

from gateway import problems
from gateway.access import Access, not_found
from gateway.auth import COOKIE, Authenticator
from gateway.directory import StreamDirectory
from gateway.edge.quotas import Quotas
from gateway.encodings import takes_gzip
from gateway.fanout import sse
from gateway.fanout.audience import Audience
from gateway.fanout.crowd import ANONYMOUS
from gateway.fanout.deflate import GZIP_HEADER, packed
from gateway.fanout.hub import Busy, Hub
from gateway.fanout.refusal import refuse
from gateway.fanout.sampling import any_cohort, cohort_of
from gateway.fanout.sketch import person
from gateway.fanout.viewer import Viewer, come_back_ms
from gateway.problems import Problem
from gateway.traces import new_trace_id
from infra.errors import OvationError, Unavailable
from infra.telemetry import logs

log = logs.get(__name__)

MAX_BACKFILL = 500
DEFAULT_BACKFILL = 50
#: Milliseconds after which a client comes back whose connection broke.
RETRY = sse.retry(1500)
RETRY_PACKED = packed(RETRY)
MAX_SEQ = 2**53

HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache, no-transform\r\n"
    b"x-accel-buffering: no\r\n"
    b"vary: Accept-Encoding\r\n"
    b"access-control-allow-origin: *\r\n"
    b"connection: close\r\n"
)


class EventsRequest(Struct, frozen=True):
    """What of the request matters."""

    stream_id: str
    query: dict[str, list[str]]
    headers: dict[bytes, bytes]
    #: Of the client, as far as trusted proxies tell.
    address: str = ""
    #: `events`, or `replay`: what was said, again.
    kind: str = "events"

    @classmethod
    def read(
        cls, stream_id: str, query: bytes, headers: list[tuple[bytes, bytes]], address: str = "", kind: bytes = b"events"
    ) -> "EventsRequest":
        """Take the parts of a parsed request; of repeated headers the last one counts."""
        return cls(stream_id, _parameters(query.decode("latin-1")), dict(headers), address, kind.decode())

    def header(self, name: bytes) -> str | None:
        """A header's text."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else None

    def parameter(self, name: str) -> str | None:
        """A query parameter; the last one counts."""
        return self.query[name][-1] if name in self.query else None

    def cookie(self, name: str) -> str | None:
        """A cookie's value."""
        brought = self.header(b"cookie")
        if brought is None:
            return None
        try:
            found = SimpleCookie(brought).get(name)
        except CookieError:
            return None
        return found.value if found else None

    @property
    def takes_gzip(self) -> bool:
        """Whether the answer may be compressed."""
        return takes_gzip(self.headers.get(b"accept-encoding", b""))

    @property
    def brings_header(self) -> bool:
        """Whether the position to resume from is in the header, as on a native reconnect."""
        return bool((self.header(b"last-event-id") or "").strip())

    def last_id(self) -> int | None:
        """The position to resume from; the header wins, since the URL is stale on a native reconnect.

        Raises:
            Problem: it is no number.
        """
        name, text = "Last-Event-ID", self.header(b"last-event-id")
        if text is None or not text.strip():
            name, text = "last_event_id", self.parameter("last_event_id")
        if text is None or not text.strip():
            return None
        text = text.strip()
        if not (text.isascii() and text.isdecimal()) or len(text) > 16 or int(text) >= MAX_SEQ:
            raise Problem("VALIDATION", f"{name} must be a sequence number below 2^53, not {text[:40]!r}", field=name)
        return int(text)

    def backfill(self, default: int = DEFAULT_BACKFILL) -> int:
        """How many of the newest items to begin with.

        Raises:
            Problem: outside 0-500.
        """
        text = self.parameter("backfill")
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) <= MAX_BACKFILL):
            raise Problem("VALIDATION", f"backfill must be 0-{MAX_BACKFILL}, not {text[:40]!r}", field="backfill")
        return int(text)

    def comments_only(self) -> bool:
        """Whether reactions and viewer counts are left out.

        Raises:
            Problem: an unknown value.
        """
        text = self.parameter("only")
        if text not in (None, "comments"):
            raise Problem("VALIDATION", f"only must be comments, not {text[:40]!r}", field="only")
        return text == "comments"


def _parameters(query: str) -> dict[str, list[str]]:
    """The query's parameters; one plain parameter, the usual case, without the standard library's 30 us."""
    if not query:
        return {}
    name, found, value = query.partition("=")
    if found and query.replace("=", "", 1).replace("_", "").isalnum():
        return {name: [value]}
    return parse_qs(query, keep_blank_values=True)


class Admits(Protocol):
    """Whoever takes a connection with its request."""

    def take(self, transport: asyncio.Transport, request: EventsRequest) -> "asyncio.Task[None] | None":
        """Answer *request* on *transport*, which is its own from now on; the work that will, where that has to wait.

        Whoever calls it keeps the task, and lets it end before the connections are closed; cancelled it answers at once.
        """


class Admission:
    """Checks requests. One per gateway."""

    def __init__(
        self,
        hub: Hub,
        directory: StreamDirectory,
        authenticator: Authenticator,
        access: Access,
        replays: Admits | None = None,
    ) -> None:
        """*replays* admits those who ask for what was said before; without it they get what is said now."""
        self._access = access
        self._hub = hub
        self._directory = directory
        self._authenticator = authenticator
        self._replays = replays

    def take(self, transport: asyncio.Transport, request: EventsRequest) -> "asyncio.Task[None] | None":
        """As `Admits.take`."""
        if request.kind == "replay" and self._replays is not None:
            return self._replays.take(transport, request)
        viewer = Viewer(transport)
        transport.set_protocol(viewer)
        try:
            if self._admit_now(viewer, request):
                return None
        except Exception as error:  # noqa: BLE001 - every failure becomes an answer
            answer_failure(viewer, error)
            return None
        return asyncio.get_running_loop().create_task(self._admit_later(viewer, request))

    def _admit_now(self, viewer: Viewer, request: EventsRequest) -> bool:
        """Admit without a task of its own, where stream and audience are known: a storm's viewers cost half as much."""
        record = self._directory.known(request.stream_id)
        if record is None:
            return False
        last_id, backfill = self._prepare(viewer, request)
        allowed = self._access.decided(viewer.principal, record)
        if allowed is None:
            return False
        if not allowed:
            raise not_found(record.stream_id)
        audience = self._hub.admit_now(viewer, record)
        if audience is None:
            return False
        self._serve(viewer, audience, last_id, backfill)
        return True

    async def _admit_later(self, viewer: Viewer, request: EventsRequest) -> None:
        try:
            record = await self._directory.get(request.stream_id)
            last_id, backfill = self._prepare(viewer, request)
            await self._access.require_watch(viewer.principal, record)
            audience = await self._hub.admit(viewer, record)
            self._serve(viewer, audience, last_id, backfill)
        except asyncio.CancelledError:
            # The gateway ends, and what was asked is not answered in time.
            answer_failure(viewer, Busy("draining"))
            raise
        except Exception as error:  # noqa: BLE001 - every failure becomes an answer
            answer_failure(viewer, error)

    def _prepare(self, viewer: Viewer, request: EventsRequest) -> tuple[int | None, int]:
        """Check everything that can be refused of a request alone; the position to resume from, and the backfill."""
        last_id, backfill, viewer.comments_only = request.last_id(), request.backfill(), request.comments_only()
        identify(viewer, request, self._authenticator, self._hub.quotas)
        return last_id, backfill

    def _serve(self, viewer: Viewer, audience: Audience, last_id: int | None, backfill: int) -> None:
        viewer.head = head_for(viewer)
        self._hub.serve(viewer, audience, last_id, backfill)


def identify(viewer: Viewer, request: EventsRequest, authenticator: Authenticator, quotas: Quotas) -> None:
    """Note who a viewer is and what it takes.

    Raises:
        Problem: UNAUTHORIZED.
    """
    principal = authenticator.authenticate(
        authorization=request.header(b"authorization"),
        cookie=request.cookie(COOKIE),
        ticket=request.parameter("ticket"),
        method="GET",
        stream_id=request.stream_id,
    )
    viewer.principal = principal
    viewer.gzip = request.takes_gzip
    viewer.expires_at = principal.expires_at if principal else None
    viewer.person = person(principal.id) if principal else ANONYMOUS
    viewer.cohort = cohort_of(viewer.person) if principal else any_cohort()
    viewer.named = principal is not None
    viewer.place = quotas.place(request.address)


def head_for(viewer: Viewer) -> bytes:
    """The head of a viewer's answer, and after how long to come back once it has ended."""
    encoding = b"content-encoding: gzip\r\n\r\n" + GZIP_HEADER if viewer.gzip else b"\r\n"
    return HEAD + encoding + (RETRY_PACKED if viewer.gzip else RETRY)


def answer_failure(viewer: Viewer, error: Exception) -> None:
    """End a viewer's connection with what its failure is answered with."""
    match error:
        case Problem():
            refuse(viewer.transport, error)
        case Busy() | Unavailable():
            if viewer.transport.is_closing():
                # It has gone meanwhile.
                return
            # EventSource gives up for good on anything but 200.
            viewer.head = b""
            viewer.transport.write(HEAD + b"\r\n" + sse.retry(come_back_ms()) + b"event: busy\ndata: {}\n\n")
            viewer.transport.close()
        case OvationError():
            refuse(viewer.transport, problems.from_error(error))
        case _:
            trace = new_trace_id()
            log.error("events request failed", trace_id=trace, exc_info=error)
            problem = Problem("INTERNAL", "The request failed; it is in the log.")
            refuse(viewer.transport, problem, (b"x-trace-id", trace.encode()))
