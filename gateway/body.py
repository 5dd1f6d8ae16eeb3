"""Bodies of ASGI requests, bounded before they are read."""

from typing import TypeVar

from starlette.requests import Request

from gateway import payload

T = TypeVar("T")


async def read(request: Request, kind: type[T]) -> T:
    """Read and decode a JSON body.

    Raises:
        Problem: PAYLOAD_TOO_LARGE above 16 kB, without reading the rest; VALIDATION as `payload.decode`.
    """
    return payload.decode(await _bounded(request), kind)


async def _bounded(request: Request) -> bytes:
    declared = request.headers.get("content-length")
    if payload.declares_too_much(declared):
        raise payload.too_large(declared)
    parts = bytearray()
    async for chunk in request.stream():
        parts += chunk
        if len(parts) > payload.MAX_BODY:
            raise payload.too_large()
    return bytes(parts)
