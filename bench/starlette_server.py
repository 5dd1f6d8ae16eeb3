"""What one writes first: Starlette, a StreamingResponse and a queue per viewer, on uvicorn with uvloop and httptools.

python -m bench.starlette_server      prints {"port":..,"feed_port":..}
"""

import asyncio
import json
import os
import socket
import time
from collections.abc import AsyncIterator

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from gateway.fanout import sse
from schemas.codec import splice

_viewers: set[asyncio.Queue[bytes]] = set()


async def events(_request: Request) -> StreamingResponse:
    """Every comment, one frame each."""

    async def frames() -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        _viewers.add(queue)
        try:
            yield sse.retry(1500)
            while True:
                yield await queue.get()
        finally:
            _viewers.discard(queue)

    return StreamingResponse(frames(), media_type="text/event-stream")


async def _take(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    seq = 0
    while line := await reader.readline():
        seq += 1
        frame = sse.comments(seq - 1, seq, [splice(line.rstrip(), seq, time.time_ns() // 1_000_000)])
        for queue in _viewers:
            queue.put_nowait(frame)


async def main() -> None:
    """Serve until killed."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(4096)
    comments = await asyncio.start_server(_take, "127.0.0.1", 0, limit=1 << 20)
    feed_port = comments.sockets[0].getsockname()[1]
    print(json.dumps({"port": listening.getsockname()[1], "feed_port": feed_port}), flush=True)
    app = Starlette(routes=[Route("/events", events)])
    config = uvicorn.Config(app, lifespan="off", ws="none", access_log=False, log_config=None)
    await uvicorn.Server(config).serve(sockets=[listening])
    os._exit(0)


if __name__ == "__main__":
    uvloop.run(main())
