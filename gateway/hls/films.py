"""Whole recordings in one file, of any size: a range of it, read as the viewer takes it.

Each viewer costs a piece or two of a stream and what his socket has not taken yet, however long the film.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.hls.place import TYPES, Place
from gateway.hls.reply import AWAY, CORS, FOREVER, MISSING, Reply, Wanted, pairs, response, span
from infra.errors import Missing, Unavailable
from infra.objects.contract import ObjectFacts, ObjectStore
from infra.telemetry import logs, metrics

log = logs.get(__name__)

#: Films read at a time by one gateway; past it a viewer is told to come again. Each takes 0.5 MiB from a folder and 1.6 MiB
#: from S3, whose client reads ahead: 400 MiB at most.
MAX_FILMS = 256


class Asked(Struct, frozen=True, kw_only=True):
    """What of a film a request wants, and on what conditions."""

    head: bool
    private: bool
    #: Range, If-Range and If-None-Match, as they came.
    range: str | None = None
    if_range: str | None = None
    if_none: str | None = None


class Films:
    """Those in *home*."""

    def __init__(self, home: ObjectStore, most: int = MAX_FILMS) -> None:
        self._home = home
        self._most = most
        self._open = 0

    async def find(self, place: Place, asked: Asked) -> "Reply | Film":
        """The film a place names, as far as it is wanted; or why not."""
        if self._open >= self._most:
            return AWAY
        try:
            facts = await self._home.facts(place.name)
        except Unavailable as error:
            log.warning("recording not read", stream_id=place.stream_id, cause=str(error))
            return AWAY
        return MISSING if facts is None else Film(self, place, facts, asked)

    @asynccontextmanager
    async def reading(self, name: str, first: int, end: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Its bytes, while the block runs."""
        self._open += 1
        metrics.FILMS.inc()
        pieces = self._home.stream(name, first, end)
        try:
            yield pieces
        finally:
            self._open -= 1
            metrics.FILMS.dec()
            await pieces.aclose()  # type: ignore[attr-defined]  # a generator, as everywhere


class Film(Response):
    """One answer; an ETag names the very bytes, so that whoever goes on with half a film gets the other half of the same."""

    def __init__(self, films: Films, place: Place, facts: ObjectFacts, asked: Asked) -> None:
        super().__init__()
        self._films = films
        self._place = place
        etag = f'"{facts.size:x}-{facts.modified_ms:x}"'
        self._first, self._end, self.status_code, more = 0, facts.size, 200, ""
        self._bare = asked.head
        named = [each.strip().removeprefix("W/") for each in (asked.if_none or "").split(",")]
        wanted = span(asked.range.encode("latin-1"), facts.size) if asked.range and asked.if_range in (None, etag) else None
        if etag in named or "*" in named:
            self.status_code, self._end, self._bare = 304, 0, True
        elif wanted is not None and wanted[0] > wanted[1]:
            self.status_code, self._end, self._bare, more = 416, 0, True, f"bytes */{facts.size}"
        elif wanted is not None:
            self._first, self._end, self.status_code = wanted[0], wanted[1] + 1, 206
            more = f"bytes {wanted[0]}-{wanted[1]}/{facts.size}"
        cache = FOREVER.replace("public", "private") if asked.private else FOREVER
        lines = [("content-type", TYPES[place.suffix]), ("etag", etag), ("accept-ranges", "bytes"), ("cache-control", cache)]
        if self.status_code != 304:
            lines.append(("content-length", str(self._end - self._first)))
        if more:
            lines.append(("content-range", more))
        self.raw_headers = [*((name.encode(), value.encode()) for name, value in lines), *pairs(CORS)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, no faster than it is taken."""
        if self._bare or self._first >= self._end:
            await self._begin(send)
            await send({"type": "http.response.body", "body": b""})
            return
        leaving = asyncio.create_task(_left(receive))
        try:
            async with self._films.reading(self._place.name, self._first, self._end) as pieces:
                await self._send(pieces, leaving, scope, receive, send)
        except Unavailable as error:
            # The connection is cut in the middle of its answer: a viewer asks for the rest of it.
            log.warning("recording not read", stream_id=self._place.stream_id, cause=str(error))
        finally:
            leaving.cancel()

    async def _send(
        self, pieces: AsyncIterator[bytes], leaving: "asyncio.Task[None]", scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            piece = await anext(pieces, b"")
        except (Missing, Unavailable) as error:
            reply = MISSING if isinstance(error, Missing) else AWAY
            await response(reply, Wanted())(scope, receive, send)
            return
        await self._begin(send)
        left = self._end - self._first
        while piece and left and not leaving.done():
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
            piece = await anext(pieces, b"") if left else b""

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})


async def _left(receive: Receive) -> None:
    """Wait until the viewer has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
