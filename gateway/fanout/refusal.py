"""A problem document on a connection that is no longer uvicorn's."""

import asyncio

from gateway import problems
from gateway.problems import Problem


def refuse(transport: asyncio.Transport, problem: Problem, *headers: tuple[bytes, bytes]) -> None:
    """Answer with *problem* and end the connection."""
    if transport.is_closing():
        return
    status, own, body = problems.render(problem)
    head = b"HTTP/1.1 %d Refused\r\n" % status + b"".join(b"%b: %b\r\n" % pair for pair in (*own, *headers))
    transport.write(
        head + b"access-control-allow-origin: *\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body
    )
    transport.close()
