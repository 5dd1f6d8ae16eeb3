"""The API's own description."""

from functools import cache

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from schemas import openapi


@cache
def _encoded() -> bytes:
    return msgspec.json.encode(openapi.document())


async def document(_request: Request) -> Response:
    """`GET /openapi.json`."""
    return Response(_encoded(), media_type="application/json", headers={"cache-control": "max-age=300"})
