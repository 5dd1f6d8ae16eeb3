"""What an events request that cannot be served is answered."""

import asyncio

from structlog.testing import capture_logs

from gateway.fanout.admission import answer_failure
from gateway.fanout.viewer import Viewer
from tests.doors import Door
from tests.wires import wire


async def test_a_fault_of_ours_is_found_by_its_trace_id() -> None:
    """The answer names the line of the log that tells what went wrong."""

    def opens(transport: asyncio.Transport, _target: bytes, _headers: list[tuple[bytes, bytes]]) -> None:
        answer_failure(Viewer(transport), ZeroDivisionError())

    server = await asyncio.get_running_loop().create_server(lambda: Door(opens), "127.0.0.1", 0)
    async with server:
        with capture_logs() as lines:
            async with wire(server.sockets[0].getsockname()[1]) as line:
                line.send(b"GET / HTTP/1.1\r\n\r\n")
                answer = await line.answer()

    assert 500 == answer.status
    assert [answer.headers["x-trace-id"]] == [each["trace_id"] for each in lines]
