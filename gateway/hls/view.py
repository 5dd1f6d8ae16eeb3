"""One request and its response in the place of uvicorn's cycle: no task, no scope, no middleware.

uvicorn's protocol goes on parsing, queueing pipelined requests, keeping alive and shutting down; for that a view has the
attributes its cycle has.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.hls.place import Place
from gateway.hls.relay import Relay
from gateway.hls.reply import Reply, Wanted


class View:
    """`start` it when its turn on the connection has come; it answers when the request is whole."""

    __slots__ = (
        *("_asked", "_fetch", "_place", "_protocol", "_relay", "_turn", "_wanted"),
        *("body", "disconnected", "keep_alive", "more_body", "response_complete"),
    )

    def __init__(self, protocol: HttpToolsProtocol, relay: Relay, place: Place, wanted: Wanted, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_complete = False
        self._protocol = protocol
        self._relay = relay
        self._place = place
        self._wanted = wanted
        self._turn = False
        self._asked = False
        self._fetch: asyncio.Future[Reply] | None = None

    @property
    def message_event(self) -> "View":
        """What uvicorn sets when the request is whole, or the client has left."""
        return self

    def start(self) -> None:
        """Its turn: every request before it on the connection has been answered."""
        self._turn = True
        self.set()

    def set(self) -> None:
        """Look whether it can be answered now, or need not be."""
        if self.disconnected:
            if self._fetch is not None:
                self._fetch.remove_done_callback(self._fetched)
                self._fetch = None
        elif self._turn and not self.more_body and not self._asked:
            self._asked = True
            found = self._relay.ask(self._place)
            if isinstance(found, Reply):
                self._answer(found)
            else:
                self._fetch = found
                found.add_done_callback(self._fetched)

    def _fetched(self, fetch: "asyncio.Future[Reply]") -> None:
        self._fetch = None
        self._answer(fetch.result())

    def _answer(self, reply: Reply) -> None:
        protocol = self._protocol
        if protocol.flow.write_paused:
            # It asks for more before it has taken what it asked for.
            task = protocol.loop.create_task(self._answer_later(reply))
            protocol.tasks.add(task)
            task.add_done_callback(protocol.tasks.discard)
            return
        self.response_complete = True
        transport = protocol.transport
        if self.disconnected or transport.is_closing():
            return
        head, body = reply.wire(self._wanted, keep_alive=self.keep_alive)
        # Two writes are one system call: uvloop gathers what is written in a turn, and copies none of it.
        transport.write(head)
        if body:
            transport.write(body)
        if not self.keep_alive:
            transport.close()
        protocol.on_response_complete()

    async def _answer_later(self, reply: Reply) -> None:
        try:
            await self._protocol.flow.drain()
        except asyncio.CancelledError:
            # The drain period is over.
            self._protocol.transport.close()
            raise
        self._answer(reply)
