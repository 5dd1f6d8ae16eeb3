"""An answer and its bytes on the wire. Made once, written to everybody who asks."""

import gzip
import re

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.hls.place import TYPES

#: Names never mean other bytes, so that whoever has a segment need not ask again, nor compare an ETag.
FOREVER = "public, max-age=31536000, immutable"
CORS = (
    b"access-control-allow-origin: *\r\naccess-control-expose-headers: content-range, retry-after\r\n"
    b"cross-origin-resource-policy: cross-origin\r\n"
)
_RANGE = re.compile(rb"bytes=(\d{0,15})-(\d{0,15})", re.IGNORECASE)
#: Below it a gzip header costs more than it saves.
LEAST_GZIP = 256


def span(asked: bytes, size: int) -> tuple[int, int] | None:
    """First and last byte of a range of *size* bytes (RFC 9110, 14.2); the first is past the last where there are none.

    `None`: several ranges, and what is none, are answered as if nobody had asked for any.
    """
    match = _RANGE.fullmatch(asked)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        return max(0, size - int(match[2])), size - 1
    first = int(match[1])
    if match[2] and int(match[2]) < first:
        return None
    return first, min(int(match[2]) if match[2] else size - 1, size - 1)


class Wanted:
    """What of an answer a request wants."""

    __slots__ = ("gzip", "head", "private", "range")

    def __init__(
        self, *, head: bool = False, accepts_gzip: bool = False, byte_range: bytes | None = None, private: bool = False
    ) -> None:
        """*private* answers are for this viewer alone: no cache between may keep them."""
        self.head = head
        self.gzip = accepts_gzip
        self.range = byte_range
        self.private = private


class Reply:
    """*cache* is its `Cache-Control`; an error has a text as its body."""

    __slots__ = ("_gzipped", "_heads", "body", "cache", "retry_after", "status", "suffix")

    def __init__(self, status: int, body: bytes, suffix: str, cache: str, retry_after: int = 0) -> None:
        self.status = status
        self.body = body
        self.suffix = suffix
        self.cache = cache
        self.retry_after = retry_after
        self._gzipped: bytes | None = None
        self._heads: dict[bool, bytes] = {}

    @property
    def size(self) -> int:
        """Bytes it takes in memory, about."""
        return len(self.body) + len(self._gzipped or b"") + 1024

    def wire(self, wanted: Wanted, *, keep_alive: bool) -> tuple[bytes, bytes]:
        """Head and body as they are written, the connection's last answer unless *keep_alive*."""
        status, head, body = self.parts(wanted)
        close = b"" if keep_alive else b"connection: close\r\n"
        return b"%b%b%b\r\n" % (STATUS_LINE[status], close, head), body

    def parts(self, wanted: Wanted) -> tuple[int, bytes, bytes]:
        """Status, header lines and body."""
        if self.status == 200 and self.suffix == ".m3u8":
            status, head, body = 200, *self._playlist(wanted)
        elif self.status == 200 and wanted.range is not None:
            status, head, body = self._piece(wanted.range)
        else:
            status, head, body = self.status, self._head(zipped=False), self.body
        if wanted.private:
            head = head.replace(b"cache-control: public, ", b"cache-control: ").replace(
                b"cache-control: ", b"cache-control: private, "
            )
        return status, head, b"" if wanted.head else body

    def _playlist(self, wanted: Wanted) -> tuple[bytes, bytes]:
        if not wanted.gzip or len(self.body) < LEAST_GZIP:
            return self._head(zipped=False), self.body
        if self._gzipped is None:
            # No time in it: two gateways make the same bytes.
            self._gzipped = gzip.compress(self.body, 6, mtime=0)
        return self._head(zipped=True), self._gzipped

    def _piece(self, asked: bytes) -> tuple[int, bytes, bytes]:
        size = len(self.body)
        found = span(asked, size)
        if found is None:
            return 200, self._head(zipped=False), self.body
        first, last = found
        if first > last:
            return 416, self._lines(0, b"content-range: bytes */%d\r\n" % size), b""
        line = b"content-range: bytes %d-%d/%d\r\n" % (first, last, size)
        return 206, self._lines(last + 1 - first, line), self.body[first : last + 1]

    def _head(self, *, zipped: bool) -> bytes:
        head = self._heads.get(zipped)
        if head is None:
            more = b"content-encoding: gzip\r\n" if zipped else b""
            if self.status == 200 and self.suffix == ".m3u8":
                more += b"vary: accept-encoding\r\n"
            elif self.status == 200:
                more += b"accept-ranges: bytes\r\n"
            if self.retry_after:
                more += b"retry-after: %d\r\n" % self.retry_after
            head = self._heads[zipped] = self._lines(len(self._gzipped or b"") if zipped else len(self.body), more)
        return head

    def _lines(self, length: int, more: bytes) -> bytes:
        kind = TYPES[self.suffix] if self.status == 200 else "text/plain; charset=utf-8"
        return b"content-type: %b\r\ncontent-length: %d\r\ncache-control: %b\r\n%b%b" % (
            kind.encode(),
            length,
            self.cache.encode(),
            CORS,
            more,
        )


def pairs(head: bytes) -> list[tuple[bytes, bytes]]:
    """Header lines as ASGI has them."""
    return [(name, value) for name, _, value in (line.partition(b": ") for line in head.split(b"\r\n") if line)]


def response(reply: Reply, wanted: Wanted) -> Response:
    """The same answer by way of ASGI."""
    status, head, body = reply.parts(wanted)
    made = Response(body, status)
    made.raw_headers = pairs(head)
    return made


#: Errors are never kept by anybody: the part that is not there now may be there in a moment.
MISSING = Reply(404, b"There is no such file, or not yet.\n", ".m3u8", "no-store")
AWAY = Reply(503, b"The video is away; try again.\n", ".m3u8", "no-store", retry_after=1)
