"""What stands in the place of uvicorn's own cycle for one request and its response: no scope, no middleware, no route table.

uvicorn's protocol goes on parsing, queueing pipelined requests, keeping alive and shutting down; for that there are the
attributes that its cycle has.
"""

from abc import ABC, abstractmethod
from typing import Self

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Cycle(ABC):
    """`start` it when its turn on the connection has come; `set` is called whenever it may go on."""

    __slots__ = ("_protocol", "_turn", "body", "disconnected", "keep_alive", "more_body", "response_complete")

    def __init__(self, protocol: HttpToolsProtocol, *, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_complete = False
        self._protocol = protocol
        self._turn = False

    @property
    def message_event(self) -> Self:
        """What uvicorn sets when more of the request has come, all of it, or the client has left."""
        return self

    def start(self) -> None:
        """Its turn: every request before it on the connection has been answered."""
        self._turn = True
        self.set()

    @abstractmethod
    def set(self) -> None:
        """Look whether it can be answered now, or need not be."""
