"""An events request, checked and turned into a viewer; or into a problem document, before any event is written."""

import asyncio
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from msgspec import Struct

from gateway import access, problems
from gateway.auth import COOKIE, Authenticator
from gateway.directory import StreamDirectory
from gateway.fanout import sse
from gateway.fanout.crowd import ANONYMOUS
from gateway.fanout.hub import Busy, Hub
from gateway.fanout.sketch import person
from gateway.fanout.viewer import Viewer, come_back_ms
from gateway.problems import Problem
from infra.errors import OvationError, Unavailable
from infra.telemetry import logs

log = logs.get(__name__)

MAX_BACKFILL = 500
DEFAULT_BACKFILL = 50
RETRY_MS = 1500
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

    @classmethod
    def read(cls, stream_id: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> "EventsRequest":
        """Take the parts of a parsed request; of repeated headers the last one counts."""
        return cls(stream_id, parse_qs(query.decode("latin-1"), keep_blank_values=True), dict(headers))

    def header(self, name: bytes) -> str | None:
        """A header's text."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else None

    def parameter(self, name: str) -> str | None:
        """A query parameter; the last one counts."""
        return self.query[name][-1] if name in self.query else None

    def cookie(self, name: str) -> str | None:
        """A cookie's value."""
        try:
            found = SimpleCookie(self.header(b"cookie") or "").get(name)
        except CookieError:
            return None
        return found.value if found else None

    @property
    def takes_gzip(self) -> bool:
        """Whether `Accept-Encoding` allows gzip (RFC 9110, 12.5.3)."""
        for part in (self.header(b"accept-encoding") or "").lower().split(","):
            name, _, weight = part.strip().partition(";")
            if name.strip() in ("gzip", "x-gzip"):
                return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
        return False

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

    def backfill(self) -> int:
        """How many of the newest items to begin with.

        Raises:
            Problem: outside 0-500.
        """
        text = self.parameter("backfill")
        if text is None:
            return DEFAULT_BACKFILL
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


class Admission:
    """Checks requests. One per gateway."""

    def __init__(self, hub: Hub, directory: StreamDirectory, authenticator: Authenticator) -> None:
        self._hub = hub
        self._directory = directory
        self._authenticator = authenticator
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, transport: asyncio.Transport, request: EventsRequest) -> None:
        """Answer *request* on *transport*, which is this package's from now on."""
        viewer = Viewer(transport)
        transport.set_protocol(viewer)
        task = asyncio.get_running_loop().create_task(self._answer(viewer, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, viewer: Viewer, request: EventsRequest) -> None:
        try:
            await self._admit(viewer, request)
        except Problem as problem:
            _refuse(viewer, problem)
        except (Busy, Unavailable):
            # EventSource gives up for good on anything but 200.
            viewer.transport.write(HEAD + b"\r\n" + sse.retry(come_back_ms()) + b"event: busy\ndata: {}\n\n")
            viewer.transport.close()
        except OvationError as error:
            _refuse(viewer, problems.from_error(error))
        except Exception:
            log.exception("events request failed")
            _refuse(viewer, Problem("INTERNAL", "The request failed; it is in the log."))

    async def _admit(self, viewer: Viewer, request: EventsRequest) -> None:
        last_id, backfill, comments_only = request.last_id(), request.backfill(), request.comments_only()
        principal = self._authenticator.authenticate(
            authorization=request.header(b"authorization"),
            cookie=request.cookie(COOKIE),
            ticket=request.parameter("ticket"),
            method="GET",
            stream_id=request.stream_id,
        )
        record = await self._directory.get(request.stream_id)
        access.require_watch(principal, record)
        viewer.comments_only = comments_only
        viewer.gzip = request.takes_gzip
        viewer.expires_at = principal.expires_at if principal else None
        viewer.person = person(principal.id) if principal else ANONYMOUS
        audience = await self._hub.admit(viewer, record)
        encoding = b"content-encoding: gzip\r\n\r\n" + sse.GZIP_HEADER if viewer.gzip else b"\r\n"
        viewer.transport.write(HEAD + encoding)
        viewer.send(sse.retry(RETRY_MS))
        self._hub.serve(viewer, audience, last_id, backfill)


def _refuse(viewer: Viewer, problem: Problem) -> None:
    if viewer.closed:
        return
    status, headers, body = problems.render(problem)
    head = b"HTTP/1.1 %d Refused\r\n" % status + b"".join(b"%b: %b\r\n" % pair for pair in headers)
    viewer.transport.write(
        head + b"access-control-allow-origin: *\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body
    )
    viewer.transport.close()
