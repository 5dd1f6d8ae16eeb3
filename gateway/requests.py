"""What handlers ask of a request: who it is from, which stream it means, and its query parameters."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from gateway import access
from gateway.auth import COOKIE, Principal
from gateway.problems import Problem
from schemas import codec
from schemas.records import StreamRecord

if TYPE_CHECKING:
    from gateway.app import Deps

MAX_LIMIT = 200


def deps(request: Request) -> "Deps":
    """The gateway's parts."""
    found: Deps = request.app.state.deps
    return found


def principal(request: Request) -> Principal | None:
    """Who asks.

    Raises:
        Problem: UNAUTHORIZED.
    """
    return deps(request).authenticator.authenticate(
        authorization=request.headers.get("authorization"),
        cookie=request.cookies.get(COOKIE),
        ticket=request.query_params.get("ticket"),
        method=request.method,
        stream_id=request.path_params.get("stream_id"),
    )


def user(request: Request) -> Principal:
    """Who writes.

    Raises:
        Problem: UNAUTHORIZED, FORBIDDEN.
    """
    return access.require_user(principal(request))


def signed_in(request: Request) -> Principal:
    """Who reads what is only for people with a name.

    Raises:
        Problem: UNAUTHORIZED.
    """
    who = principal(request)
    if who is None:
        raise Problem("UNAUTHORIZED", "Send Authorization: Bearer <token>; guests get one from POST /api/v1/session.")
    return who


async def stream(request: Request, who: Principal | None) -> StreamRecord:
    """The stream of the path, if *who* may watch it.

    Raises:
        Problem: NOT_FOUND.
        Unavailable: nobody can say.
    """
    record = await deps(request).directory.get(request.path_params["stream_id"])
    await deps(request).access.require_watch(who, record)
    return record


def media_url(request: Request, record: StreamRecord, who: Principal | None, path: str) -> str:
    """The address of a file of the stream's video or recording, for *who*, who may watch; see `media`."""
    return media(request, record, who, path)[0]


def media(request: Request, record: StreamRecord, who: Principal | None, path: str) -> tuple[str, int | None]:
    """The same, and when it ends (in milliseconds since the epoch; `None`: never).

    It is signed where the stream is not public (`gateway.playback`): then it is this person's alone.
    """
    base = f"{base_url(request)}/hls/{record.stream_id}"
    if record.privacy == "public" or who is None:
        return f"{base}/{path}", None
    token, expires_at = deps(request).playback.token(record.stream_id, who)
    return f"{base}/{token}/{path}", expires_at * 1000


def limit(request: Request, default: int = 50) -> int:
    """`limit`, 1-200.

    Raises:
        Problem: VALIDATION.
    """
    return integer(request, "limit", default, 1, MAX_LIMIT)


def integer(request: Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number from the query.

    Raises:
        Problem: VALIDATION, outside its bounds.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and least <= int(text) <= most):
        raise Problem("VALIDATION", f"{name} must be {least}-{most}, not {text[:40]!r}.", field=name)
    return int(text)


def cursor(request: Request) -> str | None:
    """Where a page begins; `None` for the first, and for an empty one: many clients send `?cursor=` while they have none."""
    return request.query_params.get("cursor") or None


def answer(value: object, status: int = 200) -> Response:
    """A JSON answer that nobody caches."""
    return Response(codec.encode(value), status, {"cache-control": "no-store"}, "application/json")


def base_url(request: Request) -> str:
    """The address people use, without a slash at its end."""
    configured = deps(request).settings.public_url
    return configured or f"{request.url.scheme}://{request.url.netloc}"


def rtmp_url(request: Request) -> str:
    """Where encoders push to: this host, the RTMP port."""
    return f"rtmp://{_host(request)}:{deps(request).settings.rtmp_port}/live"


def rtmps_url(request: Request) -> str | None:
    """The same over TLS, where there is a certificate."""
    settings = deps(request).settings
    return f"rtmps://{_host(request)}:{settings.rtmps_port}/live" if settings.rtmps_certificate_file else None


def _host(request: Request) -> str:
    host = request.url.hostname or "localhost"
    return f"[{host}]" if ":" in host else host
