"""A listening socket's protocol that reads the head of one request and hands its connection on, as uvicorn's does."""

import asyncio
from collections.abc import Callable

#: Transport, target (path and query) and headers, names in lower case.
Opens = Callable[[asyncio.Transport, bytes, list[tuple[bytes, bytes]]], None]


class Door(asyncio.Protocol):
    """One connection, handed to *opens* with its first request."""

    def __init__(self, opens: Opens) -> None:
        self._opens = opens
        self._head = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # every transport here is one
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Collect the head."""
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            first, *lines = self._head.split(b"\r\n")
            headers = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines if line)]
            self._opens(self._transport, first.split(b" ")[1], headers)
