"""Read and remove comments; `posting` has the way in."""

import asyncio
import base64
import binascii

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway import access, requests
from gateway.posting import posted
from gateway.problems import Problem
from gateway.shown import Shown
from schemas import codec, subjects
from schemas.api import CommentPage, PostedComment, RemovedComment, Thread
from schemas.items import Removed
from schemas.records import StreamRecord
from schemas.snowflake import parse_snowflake
from schemas.times import parse_rfc3339, rfc3339

MAX_OFFSET = 10_000


async def page(request: Request) -> Response:
    """`GET /streams/{id}/comments`: a page of the whole history, removed ones as placeholders."""
    record = await requests.stream(request, requests.principal(request))
    history = requests.deps(request).history
    limit = requests.limit(request)
    offset = requests.integer(request, "offset", 0, 0, MAX_OFFSET)
    descending = _descending(request.query_params.get("sort", "desc"))
    position = await _position(request, record)
    found, (total, exact) = await asyncio.gather(
        history.comments(
            record,
            after=position if position is not None and not descending else 0,
            before=position if descending else None,
            descending=descending,
            limit=limit + 1,
            offset=offset,
            from_ms=_time(request, "from_time"),
            to_ms=_time(request, "to_time"),
        ),
        history.total_soon(record),
    )
    more, found = len(found) > limit, found[:limit]
    return requests.answer(
        CommentPage(
            comments=[entry(shown) for shown in found],
            next_cursor=_cursor(found[-1].seq) if more else None,
            limit=limit,
            total=total,
            total_is_exact=exact,
        )
    )


async def get(request: Request) -> Response:
    """`GET .../comments/{comment_id}`."""
    record = await requests.stream(request, requests.principal(request))
    return requests.answer(entry(await _comment(request, record)))


async def replies(request: Request) -> Response:
    """`GET .../comments/{comment_id}/replies`: the thread, oldest first."""
    record = await requests.stream(request, requests.principal(request))
    parent = await _comment(request, record)
    limit = requests.limit(request)
    after = await _position(request, record) or 0
    found = await requests.deps(request).history.replies(record, parent.comment_id or "", after, limit + 1)
    more, found = len(found) > limit, found[:limit]
    return requests.answer(
        Thread(
            comments=[entry(shown) for shown in found],
            next_cursor=_cursor(found[-1].seq) if more else None,
            limit=limit,
        )
    )


async def remove(request: Request) -> Response:
    """`DELETE .../comments/{comment_id}`: by its author, the creator or a moderator; idempotent."""
    who = requests.user(request)
    deps = requests.deps(request)
    record = await requests.stream(request, who)
    shown = await _comment(request, record)
    if shown.author_id != who.id and not access.may_moderate(who, record):
        raise Problem("FORBIDDEN", "Only its author, the stream's creator and moderators may remove a comment.")
    if shown.removed is None:
        reason = "author" if shown.author_id == who.id else "creator" if who.id == record.broadcaster.id else "moderator"
        item = msgspec.convert({"type": "removed", "comment_id": shown.comment_id, "reason": reason}, Removed)
        await deps.publisher.publish(
            subjects.live(record.shard, record.stream_id),
            codec.encode(item),
            f"{record.stream_id}:{subjects.removal_msg_id(shown.comment_id or '')}",
        )
    return Response(status_code=204)


def entry(shown: Shown) -> PostedComment | RemovedComment:
    """A comment as pages have it."""
    if shown.comment is not None:
        return posted(shown.stream_id, shown.comment, shown.seq, shown.at_ms)
    return RemovedComment(
        comment_id=shown.comment_id or "", seq=shown.seq, at=rfc3339(shown.at_ms), reason=shown.removed or "moderator"
    )


async def _comment(request: Request, record: StreamRecord) -> Shown:
    comment_id = request.path_params["comment_id"]
    try:
        parse_snowflake(comment_id)
    except ValueError:
        shown = None
    else:
        shown = await requests.deps(request).history.comment(record, comment_id)
    if shown is None:
        raise Problem("NOT_FOUND", f"There is no comment {comment_id[:40]!r} in this stream.")
    return shown


def _descending(sort: str) -> bool:
    if sort not in ("asc", "desc"):
        raise Problem("VALIDATION", "sort must be asc or desc.", field="sort")
    return sort == "desc"


def _cursor(seq: int) -> str:
    return base64.urlsafe_b64encode(b"s%d" % seq).decode()


async def _position(request: Request, record: StreamRecord) -> int | None:
    """The seq a cursor stands for; a comment's id is accepted too.

    Raises:
        Problem: VALIDATION, for what is neither.
    """
    text = requests.cursor(request)
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 19:
        shown = await requests.deps(request).history.comment(record, text)
        if shown is not None:
            return shown.seq
    else:
        try:
            decoded = base64.urlsafe_b64decode(text.encode()).decode()
        except (binascii.Error, ValueError):
            decoded = ""
        if decoded[:1] == "s" and decoded[1:].isdecimal() and len(decoded) <= 17:
            return int(decoded[1:])
    raise Problem("VALIDATION", "cursor must be a page's next_cursor or a comment's id.", field="cursor")


def _time(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return parse_rfc3339(text.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise Problem("VALIDATION", f"{name} must be an RFC 3339 time.", field=name) from None
