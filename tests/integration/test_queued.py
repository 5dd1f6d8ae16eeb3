"""Connections that waited in the queue of the listening socket, with or without something said."""

import asyncio
import socket
from typing import Any

from tests.edges import Edged, Line
from tests.proxied import header
from tests.waits import PATIENCE_S, eventually

GET = b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n"
TRUSTING: dict[str, Any] = {"trusted_proxies": "127.0.0.1", "proxy_protocol": "optional"}


async def test_what_was_said_before_it_was_accepted_is_heard() -> None:
    """A head, half of one, a proxy's header with a request or alone, and silence: all wait in the queue when serving begins."""
    whole, loop = header("192.0.2.7", 4711), asyncio.get_running_loop()
    for settings, said, expected in (
        ({}, GET, "127.0.0.1"),
        ({}, GET[:9], "127.0.0.1"),
        ({}, b"", "127.0.0.1"),
        (TRUSTING, whole + GET, "192.0.2.7"),
        (TRUSTING, whole, "192.0.2.7"),
        (TRUSTING, GET[:9], "127.0.0.1"),
    ):
        e = Edged(**settings)
        client = socket.create_connection(e.listening.getsockname())
        client.sendall(said)
        client.setblocking(False)  # noqa: FBT003 - the socket's own signature
        running = asyncio.create_task(e.run(shared=False))
        await eventually(lambda: e.accepted == 1)  # noqa: B023 - awaited here
        await loop.sock_sendall(client, (whole + GET if settings and said.startswith(whole) else GET)[len(said) :])
        line = Line(*await asyncio.open_connection(sock=client))
        assert (await line.told())["client"][0] == expected
        await line.close()
        e.lifecycle.stop()
        await asyncio.wait_for(running, PATIENCE_S)
