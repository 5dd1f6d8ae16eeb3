"""The ASGI application: the route table, and every error as a problem document. Events are not here (`fanout.protocol`)."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.access import Access
from gateway.auth import Authenticator
from gateway.cors import Cors
from gateway.directory import StreamDirectory
from gateway.earlier import Earlier
from gateway.history import History
from gateway.hls.films import Films
from gateway.hls.relay import Relay
from gateway.middleware import RequestLog
from gateway.playback import Playback, unsigned
from gateway.problems import Problem, from_error, render
from gateway.taps import Taps
from infra.clock import Clock
from infra.errors import OvationError
from infra.jetstream.counters import Counters
from infra.jetstream.leases import MachineLease
from infra.jetstream.limits import Limits
from infra.jetstream.publisher import Publisher
from infra.jetstream.reader import Reader
from infra.jetstream.streams import StreamRecords
from infra.objects.contract import ObjectStore
from infra.settings import Settings
from infra.telemetry import logs
from schemas.items import Comment
from schemas.records import StreamRecord

log = logs.get(__name__)

API = "/api/v1"


@dataclass(frozen=True, kw_only=True)
class Deps:
    """A gateway's parts, as handlers use them."""

    settings: Settings
    clock: Clock
    authenticator: Authenticator
    access: Access
    playback: Playback
    directory: StreamDirectory
    records: StreamRecords
    history: History
    earlier: Earlier
    publisher: Publisher
    reader: Reader
    limits: Limits
    counters: Counters
    taps: Taps
    relay: Relay
    lease: MachineLease
    #: Where recordings and pictures are kept.
    home: ObjectStore
    films: Films
    #: When the log took a message of a stream, in ms since the epoch; `None` when nobody can say at the moment.
    taken_at: Callable[[StreamRecord, int], Awaitable[int | None]]
    #: Whether some viewers of a stream may not be shown a comment, since it is sampled.
    samples: Callable[[str, Comment], bool]
    #: Viewers of a stream over all gateways.
    viewer_count: Callable[[str], int]
    #: Durable totals by reaction type.
    reaction_totals: Callable[[StreamRecord], Awaitable[dict[str, int]]]


def routes() -> list[Route]:
    """The route table."""
    from gateway import (  # noqa: PLC0415 - they know Deps
        comments,
        follows,
        invitations,
        openapi,
        pages,
        posting,
        reactions,
        recordings,
        sessions,
        streams,
    )
    from gateway.hls import route as hls  # noqa: PLC0415 - as above

    stream = f"{API}/streams/{{stream_id}}"
    comment = f"{stream}/comments/{{comment_id}}"
    return [
        Route(f"{API}/openapi.json", openapi.document, methods=["GET"]),
        Route(f"{API}/session", sessions.create, methods=["POST"]),
        Route(f"{API}/streams", streams.page, methods=["GET"]),
        Route(f"{API}/streams/start", streams.start, methods=["POST"]),
        Route(stream, streams.get, methods=["GET"]),
        Route(stream, streams.change, methods=["PATCH"]),
        Route(stream, streams.delete, methods=["DELETE"]),
        Route(f"{stream}/start", streams.go_live, methods=["POST"]),
        Route(f"{stream}/end", streams.end, methods=["POST"]),
        Route(f"{stream}/watch", streams.watch, methods=["GET"]),
        Route(f"{stream}/recording", recordings.get, methods=["GET"]),
        Route(f"{stream}/key", streams.rotate_key, methods=["POST"]),
        Route(f"{stream}/ticket", sessions.ticket, methods=["POST"]),
        Route(f"{stream}/invitations", invitations.page, methods=["GET"]),
        # A user's id may hold whatever its site likes, slashes too.
        Route(f"{stream}/invitations/{{user_id:path}}", invitations.invite, methods=["PUT"]),
        Route(f"{stream}/invitations/{{user_id:path}}", invitations.withdraw, methods=["DELETE"]),
        Route(f"{API}/users/{{user_id:path}}/follow", follows.get, methods=["GET"]),
        Route(f"{API}/users/{{user_id:path}}/follow", follows.follow, methods=["PUT"]),
        Route(f"{API}/users/{{user_id:path}}/follow", follows.unfollow, methods=["DELETE"]),
        Route(f"{stream}/comments", comments.page, methods=["GET"]),
        Route(f"{stream}/comments", posting.create, methods=["POST"]),
        Route(comment, comments.get, methods=["GET"]),
        Route(comment, comments.remove, methods=["DELETE"]),
        Route(f"{comment}/replies", comments.replies, methods=["GET"]),
        Route(f"{stream}/reactions", reactions.create, methods=["POST"]),
        # GET is taken before it gets here; this names the path for every other method.
        Alone(f"{stream}/events", _events),
        Alone(f"{stream}/replay", _events),
        Alone(f"{API}/ws", _socket),
        Route("/hls/{stream_id}/{path:path}", hls.serve, methods=["GET"]),
        Route("/", pages.page, methods=["GET"]),
        Route("/watch/{stream_id}", pages.page, methods=["GET"]),
        Route("/watch/{stream_id}/", pages.page, methods=["GET"]),
        Route("/assets/{name}", pages.asset, methods=["GET"]),
        Route("/{name}", pages.asset, methods=["GET"]),
    ]


def create_app(deps: Deps) -> Starlette:
    """Build the application around *deps*."""
    app = Starlette(
        routes=routes(),
        middleware=[
            Middleware(RequestLog),
            Middleware(Cors),
        ],
        exception_handlers={
            Problem: _problem,
            OvationError: _adapter,
            HTTPException: _http,
            ClientDisconnect: _gone,
            Exception: _bug,
        },
    )
    # A redirect to the path without its last slash would lose the body of a POST in some clients, the token in others.
    app.router.redirect_slashes = False
    app.state.deps = deps
    return app


class Alone(Route):
    """GET without the HEAD that Starlette adds: there is no head of an answer that never ends."""

    def __init__(self, path: str, endpoint: Callable[..., Any]) -> None:
        super().__init__(path, endpoint, methods=["GET"])
        self.methods = {"GET"}


async def _events(_request: Request) -> Response:
    return _rendered(
        Problem("METHOD_NOT_ALLOWED", "Events are read with a plain GET, one request per connection."), {"Allow": "GET"}
    )


async def _socket(_request: Request) -> Response:
    return _rendered(
        Problem("METHOD_NOT_ALLOWED", "A WebSocket is opened with a plain GET, one per connection."), {"Allow": "GET"}
    )


async def _problem(_request: Request, error: Any) -> Response:  # noqa: ANN401 - Starlette's own signature
    return _rendered(error)


async def _adapter(_request: Request, error: Any) -> Response:  # noqa: ANN401 - Starlette's own signature
    return _rendered(from_error(error))


async def _http(request: Request, error: Any) -> Response:  # noqa: ANN401 - Starlette's own signature
    if not request.url.path.startswith("/api"):
        return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
    if error.status_code == 405:
        problem = Problem("METHOD_NOT_ALLOWED", f"{request.method} is not allowed here.")
    elif error.status_code == 404:
        problem = Problem("NOT_FOUND", f"There is nothing at {request.url.path[:200]!r}.")
    else:
        problem = Problem("VALIDATION", str(error.detail), status=error.status_code)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        # Starlette names the methods of the first route of the path alone.
        allowed = {m for r in routes() if r.path_regex.match(request.url.path) for m in r.methods or ()}
        headers["Allow"] = ", ".join(sorted(allowed))
    return _rendered(problem, headers)


async def _gone(_request: Request, _error: Any) -> Response:  # noqa: ANN401 - Starlette's own signature
    """Nobody is there to read it: who sent half a body hung up, or took too long."""
    return Response(status_code=400)


async def _bug(request: Request, error: Any) -> Response:  # noqa: ANN401 - Starlette's own signature
    log.error("request failed", path=unsigned(request.url.path), exc_info=error)
    return _rendered(Problem("INTERNAL", "The request failed; it is in the log."))


def _rendered(problem: Problem, more: Mapping[str, str] | None = None) -> Response:
    status, headers, body = render(problem)
    response = Response(body, status)
    response.raw_headers.extend(headers)
    response.headers.update(more or {})
    return response
