"""One request for video and its response in the place of uvicorn's cycle, without a task of its own."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.cycle import Cycle
from gateway.hls.place import Place
from gateway.hls.relay import Relay
from gateway.hls.reply import Reply, Wanted


class View(Cycle):
    """It answers when the request is whole."""

    __slots__ = ("_asked", "_fetch", "_place", "_relay", "_wanted")

    def __init__(self, protocol: HttpToolsProtocol, relay: Relay, place: Place, wanted: Wanted, *, keep_alive: bool) -> None:
        super().__init__(protocol, keep_alive=keep_alive)
        self._relay = relay
        self._place = place
        self._wanted = wanted
        self._asked = False
        self._fetch: asyncio.Future[Reply] | None = None

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
