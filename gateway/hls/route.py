"""Requests for video by way of ASGI: those that ask for a decision, or are out of the ordinary. The same answers."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from gateway import requests
from gateway.encodings import takes_gzip
from gateway.hls.films import Asked, Film
from gateway.hls.place import Place, place
from gateway.hls.reply import AWAY, MISSING, Reply, Wanted, response
from gateway.playback import split
from gateway.problems import Problem
from infra.errors import Unavailable


async def serve(request: Request) -> Response:
    """`GET /hls/{stream_id}/...`."""
    headers = request.headers
    wanted = Wanted(
        head=request.method == "HEAD",
        accepts_gzip=takes_gzip(headers.get("accept-encoding", "").encode("latin-1")),
        # None of these answers has a validator that a condition could name: it never holds (RFC 9110, 13.1.5).
        byte_range=headers["range"].encode("latin-1") if "range" in headers and "if-range" not in headers else None,
    )
    named = await _place(request, wanted)
    if isinstance(named, Reply):
        return response(named, wanted)
    if named.is_film:
        asked = Asked(
            head=wanted.head,
            private=wanted.private,
            range=headers.get("range"),
            if_range=headers.get("if-range"),
            if_none=headers.get("if-none-match"),
        )
        film = await requests.deps(request).films.find(named, asked)
        return film if isinstance(film, Film) else response(film, wanted)
    found = requests.deps(request).relay.ask(named)
    return response(found if isinstance(found, Reply) else await asyncio.shield(found), wanted)


async def _place(request: Request, wanted: Wanted) -> Place | Reply:
    """What is asked for, if this viewer may have it, else the answer; what not everybody may have is *wanted* private."""
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
    return named
