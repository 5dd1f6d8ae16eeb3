"""What the kernel is told about each RTMP connection."""

import asyncio
import socket

from tests.rtmp import Publisher
from workers.media.rtmp.wire import Wire


async def test_a_half_open_peer_is_found_by_the_kernel() -> None:
    """Keepalive probes and the time for what is not acknowledged are set on every connection."""
    found: list[int] = []

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        Wire(reader, writer)
        raw = writer.get_extra_info("socket")
        found.append(raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        found.extend(raw.getsockopt(socket.IPPROTO_TCP, each) for each in (socket.TCP_KEEPIDLE, socket.TCP_USER_TIMEOUT))
        writer.close()

    async with await asyncio.start_server(accepted, "127.0.0.1", 0) as server:
        publisher = await Publisher.connect(*server.sockets[0].getsockname())
        await publisher.finish()
    assert found == [1, 5, 10_000]
