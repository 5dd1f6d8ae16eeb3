"""Guests and tickets."""

from starlette.requests import Request
from starlette.responses import Response

from gateway import body, requests, text
from gateway.auth import COOKIE
from gateway.problems import Problem
from schemas.api import NewSession, Session, SessionUser, Ticket
from schemas.times import rfc3339


async def create(request: Request) -> Response:
    """`POST /session`: mint a guest, where guests are allowed."""
    deps = requests.deps(request)
    if not deps.settings.guests:
        raise Problem("NOT_FOUND", "Guests are not allowed here; sign in with the site.")
    wanted = await body.read(request, NewSession)
    minted = deps.authenticator.mint_guest(text.normalised(wanted.name, field="name", longest=text.MAX_NAME))
    who = SessionUser(id=minted.principal.id, name=minted.principal.name)
    response = requests.answer(Session(token=minted.token, user=who, expires_at=rfc3339(minted.expires_at * 1000)), status=201)
    response.set_cookie(
        COOKIE,
        minted.token,
        max_age=minted.expires_at - deps.clock.now_ms() // 1000,
        httponly=True,
        samesite="Lax",  # type: ignore[arg-type]  # as RFC 6265bis writes it, and those who compare it to the letter expect
        secure=requests.base_url(request).startswith("https://"),
    )
    return response


async def ticket(request: Request) -> Response:
    """`POST /streams/{id}/ticket`: a credential for `?ticket=`."""
    who = requests.user(request)
    record = await requests.stream(request, who)
    minted = requests.deps(request).authenticator.mint_ticket(who, record.stream_id)
    return requests.answer(Ticket(ticket=minted.token, expires_at=rfc3339(minted.expires_at * 1000)))
