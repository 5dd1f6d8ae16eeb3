"""One request with a body and its response without ASGI, in the place of uvicorn's own cycle. It leaves in one write."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct, field
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.cycle import Cycle
from gateway.payload import MAX_BODY, declares_too_much
from gateway.recess import Recess


class Asked(Struct):
    """A request: the stream of its path, its headers (of repeated ones the first), and its body.

    `body` is `None` when it has more bytes than a body may have; the rest of it is not waited for.
    """

    stream_id: str
    headers: dict[bytes, bytes]
    body: bytes | None = None
    #: When it came, by `time.perf_counter`.
    came: float = field(default_factory=time.perf_counter)

    def header(self, name: bytes) -> str | None:
        """A header's text."""
        value = self.headers.get(name)
        return value.decode("latin-1") if value is not None else None


class Answered(Struct):
    """A response; *head* is its header lines, each ended, without `content-length` and `connection`."""

    status: int
    head: bytes
    body: bytes


class Way(Protocol):
    """What answers exchanges."""

    async def answer(self, asked: Asked) -> Answered:
        """The response; never raises, for whatever goes wrong is a response too."""
        ...


class Exchange(Cycle):
    """It is answered when the body is whole, or too large; in a recess."""

    __slots__ = ("_answering", "_asked", "_declares_too_much", "_done", "_recess", "_task", "_way")

    def __init__(
        self,
        protocol: HttpToolsProtocol,
        asked: Asked,
        way: Way,
        recess: Recess,
        *,
        keep_alive: bool,
    ) -> None:
        super().__init__(protocol, keep_alive=keep_alive)
        self._asked = asked
        self._way = way
        self._recess = recess
        self._declares_too_much = declares_too_much(asked.header(b"content-length"))
        self._answering = False
        self._task: asyncio.Task[None]
        self._done: Callable[[], None]

    def set(self) -> None:
        """Look whether it can be answered now."""
        if self._answering or not self._turn or self.disconnected:
            return
        if self._declares_too_much or len(self.body) > MAX_BODY:
            self.body.clear()
        elif self.more_body:
            return
        else:
            self._asked.body = bytes(self.body)
        self._answering = True
        self._recess.enter(self._begin)

    def _begin(self, done: Callable[[], None]) -> None:
        self._done = done
        self._task = self._protocol.loop.create_task(self._serve())
        # uvicorn waits for these when it shuts down.
        self._protocol.tasks.add(self._task)

    async def _serve(self) -> None:
        protocol = self._protocol
        try:
            try:
                answered = await self._way.answer(self._asked)
            finally:
                # Before its client has taken what was written before: a flush would wait for one that reads nothing.
                self._done()
            if protocol.flow.write_paused and not self.disconnected:
                await protocol.flow.drain()
        except asyncio.CancelledError:
            # The drain period is over.
            protocol.transport.close()
            raise
        finally:
            protocol.tasks.discard(self._task)
        self.response_complete = True
        if not self.disconnected:
            self._respond(answered)

    def _respond(self, answered: Answered) -> None:
        protocol, transport = self._protocol, self._protocol.transport
        close = b"" if self.keep_alive else b"connection: close\r\n"
        transport.write(
            b"%bcontent-length: %d\r\n%b%b\r\n%b"
            % (STATUS_LINE[answered.status], len(answered.body), close, answered.head, answered.body)
        )
        if not self.keep_alive:
            transport.close()
        protocol.on_response_complete()
