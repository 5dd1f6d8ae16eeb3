"""How an edge ends for those who came as the last: in the queue, and while it was being found out what they may watch."""

import asyncio
import logging
import socket

import pytest

from tests.edges import Edged, Line, edge
from tests.waits import eventually

GET = b"GET /echo HTTP/1.1\r\nhost: x\r\n\r\n"
EVENTS = b"GET /api/v1/streams/01a200aa-05ca-7fc7-95bf-8592a36efce5/events HTTP/1.1\r\nhost: x\r\n\r\n"


class Last(logging.Handler):
    """Connects and asks in the moment before the listening socket is closed, more than are taken in one turn."""

    def __init__(self, e: Edged) -> None:
        super().__init__()
        self._address = e.listening.getsockname()
        self.clients: list[socket.socket] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Once the server says that it ends."""
        for _ in range(100 if record.getMessage() == "Shutting down" else 0):
            self.clients.append(socket.create_connection(self._address))
            self.clients[-1].sendall(GET)


async def test_who_waits_in_the_queue_at_the_end_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """A kernel resets what is in a queue that is closed: who came as the last is taken before, and answered like the others."""
    with caplog.at_level("INFO", "uvicorn.error"):
        async with edge(drain_s=0) as e:
            last = Last(e)
            logging.getLogger("uvicorn.error").addHandler(last)
            e.lifecycle.stop()
            await eventually(lambda: len(last.clients) == 100)
            logging.getLogger("uvicorn.error").removeHandler(last)
            for client in last.clients:
                line = Line(*await asyncio.open_connection(sock=client))
                assert (await line.told())["body"] == ""
                await line.close()


#: What the doorway reads itself, and what the protocol behind reads.
@pytest.mark.parametrize("said", [EVENTS, EVENTS.replace(b"/01a2", b"/%301a2")], ids=["line", "transport"])
async def test_who_is_being_admitted_at_the_end_is_answered(said: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A viewer that is no connection of the server's any more, whose stream is still being looked for: it is waited for."""
    with caplog.at_level("INFO", "uvicorn.error"):
        async with edge(drain_s=0) as e:
            viewer = (await e.open()).say(said)
            await eventually(lambda: e.waiting == 1)
            e.lifecycle.stop()
            await eventually(lambda: "Waiting for background tasks" in caplog.text)
            e.go.set()
            assert (await viewer.answer())[0] == 404


async def test_who_cannot_be_admitted_before_the_end_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for as long as for a post, and then told to come back; it is not cut without a word."""
    monkeypatch.setattr("gateway.edge.server.LINGER_S", 0)
    async with edge(drain_s=0, publish_wait_s=0.1) as e:
        viewer = (await e.open()).say(EVENTS)
        await eventually(lambda: e.waiting == 1)
        e.lifecycle.stop()
        assert b"event: busy" in await viewer.rest()
