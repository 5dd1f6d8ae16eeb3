"""Who else a request means: the person of its path, and the limit on what is done with people."""

import uuid

from starlette.requests import Request

from gateway import requests
from gateway.auth import SUBJECT, Principal
from gateway.problems import Problem
from infra.jetstream.limits import outwait


def person(request: Request) -> str:
    """The user id of the path; whether there is such a user only the site knows.

    Raises:
        Problem: VALIDATION, for what can be no user id.
    """
    user_id: str = request.path_params["user_id"]
    if SUBJECT.fullmatch(user_id) is None:
        raise Problem("VALIDATION", "A user's id is 1-128 characters without spaces.", field="user_id")
    return user_id


async def spend(request: Request, who: Principal) -> None:
    """Take one of the changes *who* may make to follows and invitations.

    Raises:
        LimitReached: says for how long.
        Unavailable: the limiter cannot answer.
    """
    deps = requests.deps(request)
    limit, token = deps.settings.limit_grants, uuid.uuid4().hex
    await outwait(lambda: deps.limits.take("grants", limit, (who.id,), token))
