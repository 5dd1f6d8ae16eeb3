"""The stream calls: start, end, look at, list, watch, change, rotate the key."""

import asyncio
import base64
import binascii

from msgspec import UNSET, structs
from starlette.requests import Request
from starlette.responses import Response

from gateway import access, body, ingest, requests, text
from gateway.auth import Principal
from gateway.problems import Problem
from infra.errors import Unavailable
from schemas.api import (
    EndedStream,
    NewKey,
    NewStream,
    SettingsChange,
    StartedStream,
    Stream,
    StreamChange,
    StreamPage,
    Watch,
)
from schemas.items import REACTIONS, StreamSettings
from schemas.records import (
    POSTER,
    RECORDING_HLS,
    Broadcaster,
    StreamRecord,
    hls_path,
    key_digest,
    new_stream_key,
    strip_path,
)
from schemas.streamid import is_stream_id, new_stream_id
from schemas.subjects import shard_of
from schemas.times import parse_rfc3339, rfc3339

NOT_YET = "is not available in this version"


async def start(request: Request) -> Response:
    """`POST /streams/start`."""
    who = requests.user(request)
    deps = requests.deps(request)
    if deps.settings.creators == "role" and not who.roles & {"creator", "admin"}:
        raise Problem("FORBIDDEN", "Only creators may start a stream here.")
    wanted = await body.read(request, NewStream)
    title = text.normalised(wanted.title, field="title", longest=text.MAX_TITLE)
    now = deps.clock.now_ms()
    scheduled_for = _scheduled(wanted.scheduled_for)
    stream_id = new_stream_id(now)
    key = new_stream_key(stream_id)
    record = StreamRecord(
        stream_id=stream_id,
        broadcaster=Broadcaster(id=who.id, name=who.name, picture=who.picture),
        title=title,
        description=wanted.description or "",
        privacy=wanted.privacy,
        status="live" if scheduled_for is None else "scheduled",
        shard=shard_of(stream_id, deps.settings.shards),
        key_sha256=key_digest(key),
        created_at=now,
        started_at=now if scheduled_for is None else None,
        scheduled_for=scheduled_for,
    )
    deps.directory.put(record, await deps.records.create(record))
    return requests.answer(_started(request, record, key), status=201)


async def go_live(request: Request) -> Response:
    """`POST /streams/{id}/start`: a scheduled stream goes live; one that is live stays so."""
    who = requests.user(request)
    record = await _mine(request, who)
    now = requests.deps(request).clock.now_ms()

    def decide(present: StreamRecord) -> StreamRecord | None:
        if present.status == "ended":
            raise Problem("STREAM_ENDED", "An ended stream cannot be started again; start a new one.")
        if present.status == "live":
            return None
        return structs.replace(present, status="live", started_at=now, change="settings")

    return requests.answer(await _full(request, await _change(request, record, decide), who))


async def end(request: Request) -> Response:
    """`POST /streams/{id}/end`; idempotent."""
    who = requests.user(request)
    record = await _mine(request, who)
    deps = requests.deps(request)
    now = deps.clock.now_ms()

    def decide(present: StreamRecord) -> StreamRecord | None:
        if present.status == "ended":
            return None
        return structs.replace(present, status="ended", video="ended", ended_at=now, change="ended")

    if record.status != "ended":
        record = await _change(request, record, decide)
    total, _ = await deps.history.total(record)
    try:
        arrivals = (await deps.counters.totals(record.shard, record.stream_id)).get("arrivals", 0)
    except Unavailable:
        arrivals = 0
    return requests.answer(
        EndedStream(
            stream_id=record.stream_id,
            status=record.status,
            ended_at=rfc3339(record.ended_at or now),
            total_viewers=max(arrivals, deps.viewer_count(record.stream_id)),
            total_comments=total,
            recording_url=requests.media_url(request, record, who, RECORDING_HLS) if record.recording else None,
        )
    )


async def page(request: Request) -> Response:
    """`GET /streams`."""
    who = requests.principal(request)
    status = request.query_params.get("status")
    if status not in (None, "scheduled", "live", "ended"):
        raise Problem("VALIDATION", "status must be scheduled, live or ended.", field="status")
    limit = requests.limit(request)
    before = _cursor(requests.cursor(request))
    found = await requests.deps(request).directory.page(status, before, limit + 1)
    more, found = len(found) > limit, found[:limit]
    cursor = base64.urlsafe_b64encode(found[-1].stream_id.encode()).decode() if more else None
    may = await asyncio.gather(*(_listed(request, who, record) for record in found))
    shown = [record for record, allowed in zip(found, may, strict=True) if allowed]
    streams = [await _full(request, record, who) for record in shown]
    return requests.answer(StreamPage(streams=streams, next_cursor=cursor, limit=limit))


async def _listed(request: Request, who: Principal | None, record: StreamRecord) -> bool:
    """Whether a list shows it: not where nobody can say, so that the others are listed all the same."""
    try:
        return await requests.deps(request).access.may_watch(who, record)
    except Unavailable:
        return False


async def get(request: Request) -> Response:
    """`GET /streams/{id}`."""
    who = requests.principal(request)
    record = await requests.stream(request, who)
    shown = await _full(request, record, who)
    if who is not None and access.may_moderate(who, record):
        shown.ingest = await ingest.of(requests.deps(request), record)
    return requests.answer(shown)


async def watch(request: Request) -> Response:
    """`GET /streams/{id}/watch`."""
    who = requests.principal(request)
    record = await requests.stream(request, who)
    hls_url, ends_at = requests.media(request, record, who, hls_path(record))
    return requests.answer(
        Watch(
            stream_id=record.stream_id,
            hls_url=hls_url,
            expires_at=_time(ends_at),
            qualities=record.qualities,
            viewer_count=requests.deps(request).viewer_count(record.stream_id),
            is_live=record.status == "live",
            video=record.video,
        )
    )


async def change(request: Request) -> Response:
    """`PATCH /streams/{id}`: reaches every connected viewer as a `settings` item."""
    who = requests.user(request)
    record = await requests.stream(request, who)
    access.require_moderate(who, record)
    wanted = await body.read(request, StreamChange)
    if wanted.title is not UNSET:
        wanted.title = text.normalised(wanted.title, field="title", longest=text.MAX_TITLE)

    def decide(present: StreamRecord) -> StreamRecord | None:
        named = {
            name: value
            for name, value in (("title", wanted.title), ("description", wanted.description), ("privacy", wanted.privacy))
            if value is not UNSET
        }
        settings = present.settings if wanted.settings is UNSET else _settings(present.settings, wanted.settings)
        changed = structs.replace(present, **named, settings=settings)
        return None if changed == present else structs.replace(changed, change="settings")

    return requests.answer(await _full(request, await _change(request, record, decide), who))


async def delete(request: Request) -> Response:
    """`DELETE /streams/{id}`: by its creator or an admin. It is gone at once; what it leaves is erased soon after."""
    deps = requests.deps(request)
    record = await _mine(request, requests.user(request))
    await deps.records.delete(record.stream_id)
    deps.directory.remove(record.stream_id)
    return Response(status_code=204)


async def rotate_key(request: Request) -> Response:
    """`POST /streams/{id}/key`: a new key; the old one stops at once."""
    record = await _mine(request, requests.user(request))
    key = new_stream_key(record.stream_id)

    def decide(present: StreamRecord) -> StreamRecord:
        if present.status == "ended":
            raise Problem("STREAM_ENDED", "An ended stream has no key; start a new one.")
        return structs.replace(present, key_sha256=key_digest(key), change="")

    await _change(request, record, decide)
    return requests.answer(
        NewKey(
            stream_id=record.stream_id,
            stream_key=key,
            rtmp_url=requests.rtmp_url(request),
            rtmps_url=requests.rtmps_url(request),
        )
    )


async def _mine(request: Request, who: Principal) -> StreamRecord:
    record = await requests.stream(request, who)
    if who.id != record.broadcaster.id and "admin" not in who.roles:
        raise Problem("FORBIDDEN", "Only the stream's creator may do this.")
    return record


async def _change(request: Request, record: StreamRecord, decide: object) -> StreamRecord:
    deps = requests.deps(request)
    changed, revision = await deps.records.change(record.stream_id, decide)  # type: ignore[arg-type]  # a decide function
    deps.directory.put(changed, revision)
    return changed


def _started(request: Request, record: StreamRecord, key: str) -> StartedStream:
    return StartedStream(
        stream_id=record.stream_id,
        rtmp_url=requests.rtmp_url(request),
        rtmps_url=requests.rtmps_url(request),
        stream_key=key,
        status=record.status,
        video=record.video,
        started_at=_time(record.started_at),
        scheduled_for=_time(record.scheduled_for),
        watch_url=f"{requests.base_url(request)}/watch/{record.stream_id}",
    )


async def _full(request: Request, record: StreamRecord, who: Principal | None) -> Stream:
    deps = requests.deps(request)
    try:
        totals = await deps.reaction_totals(record)
    except Unavailable:
        totals = {}
    reactions = {name: totals.get(name, 0) for name in REACTIONS}
    comments, _ = await deps.history.total(record)
    moderates = who is not None and access.may_moderate(who, record)
    s, strip = record.settings, strip_path(record)
    return Stream(
        stream_id=record.stream_id,
        broadcaster=record.broadcaster,
        title=record.title,
        description=record.description,
        privacy=record.privacy,
        status=record.status,
        is_live=record.status == "live",
        video=record.video,
        viewer_count=deps.viewer_count(record.stream_id),
        comment_count=comments,
        reaction_count=sum(reactions.values()),
        reactions=reactions,
        created_at=rfc3339(record.created_at),
        started_at=_time(record.started_at),
        ended_at=_time(record.ended_at),
        scheduled_for=_time(record.scheduled_for),
        stream_url=requests.media_url(request, record, who, hls_path(record)),
        thumbnail_url=requests.media_url(request, record, who, POSTER) if record.poster else None,
        strip_url=requests.media_url(request, record, who, strip) if strip else None,
        # The banned words stay with those who set them.
        settings=s if moderates else structs.replace(s, banned_words=[]),
        last_seq=await deps.history.tail(record),
    )


def _time(ms: int | None) -> str | None:
    return None if ms is None else rfc3339(ms)


def _scheduled(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except ValueError:
        raise Problem("VALIDATION", "scheduled_for must be an RFC 3339 time.", field="scheduled_for") from None


def _settings(present: StreamSettings, wanted: SettingsChange) -> StreamSettings:
    changes = {name: value for name, value in structs.asdict(wanted).items() if value is not UNSET}
    for name, unavailable in (("shield", True), ("moderation", "hold")):
        if changes.get(name) == unavailable:
            raise Problem("VALIDATION", f"{name}={unavailable} {NOT_YET}.", field=f"settings.{name}")
    return structs.replace(present, **changes)


def _cursor(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        stream_id = base64.urlsafe_b64decode(text.encode()).decode()
    except (binascii.Error, ValueError):
        stream_id = ""
    if not is_stream_id(stream_id):
        raise Problem("VALIDATION", "cursor must be the next_cursor of a page before.", field="cursor")
    return stream_id
