"""Who follows whom: the caller follows a person, and may then watch what that one streams for followers."""

from starlette.requests import Request
from starlette.responses import Response

from gateway import requests
from gateway.auth import Principal
from gateway.people import person, spend
from gateway.problems import Problem
from schemas import subjects
from schemas.api import Follow
from schemas.times import rfc3339


async def follow(request: Request) -> Response:
    """`PUT /users/{user_id}/follow`; idempotent. A guest follows for as long as the guest's token lives."""
    who, creator = _parties(request)
    deps = requests.deps(request)
    await spend(request, who)
    left = max(1, who.expires_at - deps.clock.now_ms() // 1000) if who.guest else None
    grant = await deps.access.follows.give(subjects.party(creator), who.id, left)
    return requests.answer(Follow(user_id=creator, following=True, since=rfc3339(grant.at)))


async def unfollow(request: Request) -> Response:
    """`DELETE /users/{user_id}/follow`; idempotent."""
    who, creator = _parties(request)
    await spend(request, who)
    await requests.deps(request).access.follows.take_back(subjects.party(creator), who.id)
    return Response(status_code=204)


async def get(request: Request) -> Response:
    """`GET /users/{user_id}/follow`: whether the caller follows."""
    who, creator = requests.signed_in(request), person(request)
    grant = await requests.deps(request).access.follows.get(subjects.party(creator), who.id)
    since = rfc3339(grant.at) if grant else None
    return requests.answer(Follow(user_id=creator, following=grant is not None, since=since))


def _parties(request: Request) -> tuple[Principal, str]:
    who, creator = requests.user(request), person(request)
    if who.id == creator:
        raise Problem("VALIDATION", "Nobody follows themselves; your own streams are yours to see.", field="user_id")
    return who, creator
