"""Requests for video by way of ASGI: those that ask for a decision, or are out of the ordinary. The same answers."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from gateway import requests
from gateway.hls.place import place
from gateway.hls.reply import AWAY, MISSING, Reply, Wanted
from gateway.playback import split
from gateway.problems import Problem
from infra.errors import Unavailable


async def serve(request: Request) -> Response:
    """`GET /hls/{stream_id}/...`."""
    wanted = Wanted(
        head=request.method == "HEAD",
        accepts_gzip="gzip" in request.headers.get("accept-encoding", ""),
        # No answer has a validator that a condition could name, so that the condition never holds (RFC 9110, 13.1.5).
        byte_range=request.headers["range"].encode("latin-1")
        if "range" in request.headers and "if-range" not in request.headers
        else None,
    )
    status, head, body = (await _reply(request, wanted)).parts(wanted)
    response = Response(body, status)
    lines = (line.partition(b": ") for line in head.split(b"\r\n") if line)
    response.raw_headers = [(name, value) for name, _, value in lines]
    return response


async def _reply(request: Request, wanted: Wanted) -> Reply:
    """The answer, if this viewer may have it; one that not everybody may have is made *wanted* private."""
    deps = requests.deps(request)
    token, path = split(request.path_params["path"])
    named = place(request.path_params["stream_id"], path, request.url.query)
    if named is None:
        return MISSING
    try:
        record = await deps.directory.get(named.stream_id)
    except Problem:
        return MISSING
    # A token says by itself who asks; one that does not hold is no one's, whatever else comes with it.
    visitor = requests.principal(request) if token is None else deps.playback.holder(named.stream_id, token)
    try:
        if (token is not None and visitor is None) or not await deps.access.may_watch(visitor, record):
            return MISSING
    except Unavailable:
        return AWAY
    wanted.private = token is not None or record.privacy != "public"
    found = deps.relay.ask(named)
    return found if isinstance(found, Reply) else await asyncio.shield(found)
