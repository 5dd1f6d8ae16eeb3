"""Requests for video by way of ASGI: those that ask for a decision, or are out of the ordinary. The same answers."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from gateway import requests
from gateway.hls.films import Asked, Film
from gateway.hls.place import Place, place
from gateway.hls.reply import MISSING, Reply, Wanted, response
from gateway.playback import split
from gateway.problems import Problem


async def serve(request: Request) -> Response:
    """`GET /hls/{stream_id}/...`."""
    headers = request.headers
    wanted = Wanted(
        head=request.method == "HEAD",
        accepts_gzip="gzip" in headers.get("accept-encoding", ""),
        # None of these answers has a validator that a condition could name: it never holds (RFC 9110, 13.1.5).
        byte_range=headers["range"].encode("latin-1") if "range" in headers and "if-range" not in headers else None,
    )
    named = await _place(request, wanted)
    if named is not None and named.is_film:
        asked = Asked(
            head=wanted.head,
            private=wanted.private,
            range=headers.get("range"),
            if_range=headers.get("if-range"),
            if_none=headers.get("if-none-match"),
        )
        film = await requests.deps(request).films.find(named, asked)
        return film if isinstance(film, Film) else response(film, wanted)
    return response(MISSING if named is None else await _reply(request, named), wanted)


async def _place(request: Request, wanted: Wanted) -> Place | None:
    """What is asked for, if this viewer may have it; what not everybody may have is *wanted* private."""
    deps = requests.deps(request)
    token, path = split(request.path_params["path"])
    named = place(request.path_params["stream_id"], path, request.url.query)
    if named is None:
        return None
    try:
        record = await deps.directory.get(named.stream_id)
    except Problem:
        return None
    # A token says by itself who asks; one that does not hold is no one's, whatever else comes with it.
    visitor = requests.principal(request) if token is None else deps.playback.holder(named.stream_id, token)
    if (token is not None and visitor is None) or not await deps.access.may_watch(visitor, record):
        return None
    wanted.private = token is not None or record.privacy != "public"
    return named


async def _reply(request: Request, named: Place) -> Reply:
    found = requests.deps(request).relay.ask(named)
    return found if isinstance(found, Reply) else await asyncio.shield(found)
