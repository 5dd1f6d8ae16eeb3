"""Who is invited to a private stream: its creator and moderators say."""

import base64
import binascii

from starlette.requests import Request
from starlette.responses import Response

from gateway import access, requests
from gateway.people import person, spend
from gateway.problems import Problem
from schemas.api import Invitation, InvitationPage
from schemas.records import StreamRecord
from schemas.times import rfc3339


async def invite(request: Request) -> Response:
    """`PUT /streams/{id}/invitations/{user_id}`; idempotent."""
    record, user_id = await _stream(request), person(request)
    await spend(request, requests.user(request))
    grant = await requests.deps(request).access.invitations.give(record.stream_id, user_id)
    return requests.answer(Invitation(user_id=user_id, invited_at=rfc3339(grant.at)))


async def withdraw(request: Request) -> Response:
    """`DELETE /streams/{id}/invitations/{user_id}`; idempotent. Whoever watches by it is cut within 2 s."""
    record, user_id = await _stream(request), person(request)
    await spend(request, requests.user(request))
    await requests.deps(request).access.invitations.take_back(record.stream_id, user_id)
    return Response(status_code=204)


async def page(request: Request) -> Response:
    """`GET /streams/{id}/invitations`: the oldest first."""
    who = requests.signed_in(request)
    record = await requests.stream(request, who)
    access.require_moderate(who, record)
    limit = requests.limit(request)
    after = _position(requests.cursor(request))
    found = await requests.deps(request).access.invitations.page(record.stream_id, after, limit + 1)
    more, found = len(found) > limit, found[:limit]
    return requests.answer(
        InvitationPage(
            invitations=[Invitation(user_id=grant.user_id, invited_at=rfc3339(grant.at)) for grant, _ in found],
            next_cursor=base64.urlsafe_b64encode(b"r%d" % found[-1][1]).decode() if more else None,
            limit=limit,
        )
    )


async def _stream(request: Request) -> StreamRecord:
    who = requests.user(request)
    record = await requests.stream(request, who)
    access.require_moderate(who, record)
    return record


def _position(text: str | None) -> int:
    if text is None:
        return 0
    try:
        decoded = base64.urlsafe_b64decode(text.encode()).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    if decoded[:1] != "r" or not decoded[1:].isdecimal() or len(decoded) > 17:
        raise Problem("VALIDATION", "cursor must be the next_cursor of a page before.", field="cursor")
    return int(decoded[1:])
