"""Reactions: taps, counted durably before they are answered; not attributed, no undo."""

import uuid

from starlette.requests import Request
from starlette.responses import Response

from gateway import body, requests
from gateway.app import Deps
from gateway.auth import Principal
from gateway.problems import Problem
from infra.jetstream.limits import outwait
from schemas.api import CountedReaction, NewReaction
from schemas.items import REACTIONS, ReactionType
from schemas.records import StreamRecord


async def create(request: Request) -> Response:
    """`POST /streams/{id}/reactions`."""
    who = requests.user(request)
    record = await requests.stream(request, who)
    wanted = await body.read(request, NewReaction)
    return requests.answer(await react(requests.deps(request), who, record, wanted.reaction_type))


async def react(deps: Deps, who: Principal, record: StreamRecord, reaction_type: ReactionType) -> CountedReaction:
    """Count one reaction of *who*, who may watch.

    Raises:
        Problem: the stream is not live.
        LimitReached: says for how long.
        Unavailable: it may or may not have been counted.
    """
    if record.status != "live":
        code = "STREAM_ENDED" if record.status == "ended" else "CONFLICT"
        raise Problem(code, "Reactions are open while the stream is live.")
    reaction_id = uuid.uuid4().hex
    limit, keys = deps.settings.limit_reactions, (record.stream_id, who.id)
    await outwait(lambda: deps.limits.take("reactions", limit, keys, reaction_id))
    totals = await deps.taps.count(record.shard, record.stream_id, reaction_type)
    return CountedReaction(
        reaction_id=reaction_id,
        reaction_type=reaction_type,
        total_reactions={name: totals.get(name, 0) for name in REACTIONS},
    )
