"""A comment's way in: checks, cheapest first; then the log; the answer only after the PubAck.

A comment is posted once per (stream, user, key), on whichever gateway the retry arrives and whatever crashed in between:
within the duplicate window the log itself knows the key, after it the store does. A retry spends no limit.
"""

import random
import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from gateway import body, requests, text
from gateway.app import Deps
from gateway.auth import Principal, badges
from gateway.problems import Problem, from_error
from gateway.spending import Spending
from infra.errors import LimitReached
from infra.jetstream.limits import outwait
from infra.telemetry import metrics
from schemas import codec, subjects
from schemas.api import NewComment, PostedComment
from schemas.items import Comment, User
from schemas.records import StreamRecord
from schemas.snowflake import parse_snowflake
from schemas.times import rfc3339

_KEY = re.compile(r"[\x20-\x7e]{1,128}")
_CREATED, _REPEATED = metrics.POSTS.labels("created"), metrics.POSTS.labels("repeated")


async def create(request: Request) -> Response:
    """`POST /streams/{id}/comments`, where it did not come by the direct way (`gateway.direct`)."""
    who, key = requests.user(request), request.headers.get("idempotency-key")
    stream_id: str = request.path_params["stream_id"]
    status, comment = await post(requests.deps(request), who, stream_id, key, lambda: body.read(request, NewComment))
    return requests.answer(comment, status)


async def post(
    deps: Deps, who: Principal, stream_id: str, key: str | None, read: Callable[[], Awaitable[NewComment]]
) -> tuple[int, PostedComment]:
    """Post what *read* gives, once under *key*: 201 and the comment, or 200 and the one that is there already.

    *read* is called when all that needs no text has been checked.

    Raises:
        Problem: it is refused; nothing was posted.
        LimitReached: says for how long.
        Unavailable: nobody knows; posting again with the same key is safe.
    """
    try:
        # Each coroutine that waits costs at every wait, so those that rarely do are not begun in vain.
        record = deps.directory.known(stream_id) or await deps.directory.get(stream_id)
        if not deps.access.decided(who, record):
            await deps.access.require_watch(who, record)
        _check(key)
        status, comment = await _create(deps, who, record, key, await read())
    except LimitReached as error:
        metrics.POSTS.labels("RATE_LIMITED").inc()
        raise from_error(error) from None
    except Problem as problem:
        metrics.POSTS.labels(problem.code).inc()
        raise
    (_CREATED if status == 201 else _REPEATED).inc()
    return status, comment


async def _create(
    deps: Deps, who: Principal, record: StreamRecord, key: str | None, wanted: NewComment
) -> tuple[int, PostedComment]:
    said = text.normalised(wanted.text, field="text", longest=text.MAX_COMMENT)
    # Without a key every post is its own; unlike any other is enough, since the id is scoped to the person who posts.
    msg_id = subjects.comment_msg_id(record.stream_id, who.id, key or f"\0{random.getrandbits(128):x}")
    spending = Spending(deps, who, record, msg_id)
    if key is not None and (stored := await deps.earlier.seq(record, msg_id, key)) is not None:
        return 200, await _repeated(deps, record, stored, said, wanted.parent_comment_id, spending)
    try:
        _check_open(record)
        if record.settings.followers_only:
            await deps.access.require_follower(who, record)
        _check_words(record, said)
        parent = await _parent(deps, record, wanted.parent_comment_id) if wanted.parent_comment_id is not None else None
        await outwait(lambda: spending.spend(said, lambda: _posted(deps, record, msg_id)))
    except (LimitReached, Problem):
        # The log may know the key already: then it was allowed when it was said, whatever has changed since.
        if key is None or (seq := await deps.publisher.find(_subject(record), msg_id)) is None:
            raise
        return 200, await _repeated(deps, record, seq, said, wanted.parent_comment_id, spending)
    return await _publish(deps, who, record, said, parent, msg_id, spending)


async def _posted(deps: Deps, record: StreamRecord, msg_id: str) -> bool:
    return await deps.publisher.find(_subject(record), msg_id) is not None


def _check_open(record: StreamRecord) -> None:
    """Refuse what is said before or after the stream.

    Raises:
        Problem: CONFLICT, or STREAM_ENDED.
    """
    if record.status == "ended":
        raise Problem("STREAM_ENDED", "The stream has ended; comments are closed.")
    if record.status != "live":
        raise Problem("CONFLICT", "The stream has not started yet.")


def _check_words(record: StreamRecord, said: str) -> None:
    """Refuse what the stream's creator does.

    Raises:
        Problem: CONTENT_VIOLATION.
    """
    if (word := text.banned_word(said, record.settings.banned_words)) is not None:
        raise Problem("CONTENT_VIOLATION", f"This stream does not allow {word!r}.", field="text")


async def _publish(
    deps: Deps, who: Principal, record: StreamRecord, said: str, parent: str | None, msg_id: str, spending: Spending
) -> tuple[int, PostedComment]:
    stamp = await deps.lease.stamp()
    comment = Comment(
        comment_id=str(stamp),
        user=User(id=who.id, name=who.name, picture=who.picture, badges=badges(who, record)),
        text=said,
        parent_comment_id=parent,
        created_at=rfc3339(stamp.ms),
    )
    ack = await deps.publisher.publish(_subject(record), codec.encode(comment), msg_id)
    if ack.duplicate:
        return 200, await _repeated(deps, record, ack.seq, said, parent, spending)
    late = spending.late
    taken_ms = await deps.taken_at(record, ack.seq)
    if late:
        await spending.stored(deps.clock.now_ms() if taken_ms is None else taken_ms)
    at_ms, sampled = stamp.ms if taken_ms is None else taken_ms, deps.samples(record.stream_id, comment)
    return 201, posted(record.stream_id, comment, ack.seq, at_ms, sampled=sampled)


async def _repeated(
    deps: Deps, record: StreamRecord, seq: int, said: str, parent: str | None, spending: Spending
) -> PostedComment:
    """The answer to a retry: the comment as it was posted.

    Raises:
        Problem: VALIDATION, when the key was used for another text, or for a reply where this is none (or the other way round).
    """
    original = await deps.history.original(record, seq)
    if original is None:
        raise Problem("VALIDATION", "This Idempotency-Key was used before.", field="Idempotency-Key")
    comment, at_ms, removed = original
    if comment.text != said:
        raise Problem("VALIDATION", "This Idempotency-Key was used with another text.", field="Idempotency-Key")
    if (comment.parent_comment_id is None) != (parent is None):
        # Which comment of a thread was replied to is not kept: all of them are replies to its root.
        raise Problem("VALIDATION", "This Idempotency-Key was used with another parent.", field="Idempotency-Key")
    # The try that posted it may have ended before it knew that it had, or how late that was.
    await spending.stored(at_ms)
    sampled = deps.samples(record.stream_id, comment)
    return posted(record.stream_id, comment, seq, at_ms, removed=removed, sampled=sampled)


async def _parent(deps: Deps, record: StreamRecord, parent_comment_id: str) -> str:
    """The root of the thread a reply belongs to: threads are one level deep.

    Raises:
        Problem: VALIDATION, for a parent that is missing, removed or elsewhere.
    """
    parent = await _visible(deps, record, parent_comment_id)
    root = parent.parent_comment_id
    if root is not None:
        # It becomes the parent, so it must be there as well.
        await _visible(deps, record, root)
    return root or parent_comment_id


async def _visible(deps: Deps, record: StreamRecord, comment_id: str) -> Comment:
    """A comment that may be replied to.

    Raises:
        Problem: VALIDATION, for one that is missing, removed or elsewhere.
    """
    try:
        parse_snowflake(comment_id)
    except ValueError:
        shown = None
    else:
        shown = await deps.history.comment(record, comment_id)
    if shown is None or shown.comment is None:
        raise Problem("VALIDATION", "There is no such comment to reply to in this stream.", field="parent_comment_id")
    return shown.comment


def posted(
    stream_id: str, comment: Comment, seq: int, at_ms: int, *, removed: bool = False, sampled: bool = False
) -> PostedComment:
    """A comment as the API gives it; *sampled* to its author."""
    return PostedComment(
        comment_id=comment.comment_id,
        seq=seq,
        stream_id=stream_id,
        user=comment.user,
        user_id=comment.user.id,
        text=comment.text,
        parent_comment_id=comment.parent_comment_id,
        created_at=comment.created_at,
        at=rfc3339(at_ms),
        status="removed" if removed else "visible",
        sampled=sampled,
    )


def _subject(record: StreamRecord) -> str:
    return subjects.live(record.shard, record.stream_id)


def _check(key: str | None) -> None:
    if key is not None and _KEY.fullmatch(key) is None:
        raise Problem("VALIDATION", "Idempotency-Key must be 1-128 printable ASCII characters.", field="Idempotency-Key")
