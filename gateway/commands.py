"""The commands of a WebSocket, through the same functions as the HTTP calls."""

from typing import cast

from gateway import payload, posting, reactions
from gateway.app import Deps
from gateway.auth import Principal
from gateway.problems import Problem
from schemas.api import NewComment, PostedComment
from schemas.socket import Command, PostComment, React


class Commands:
    """Understands commands and executes those that write."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    @staticmethod
    def read(message: bytes) -> Command:
        """Decode one message.

        Raises:
            Problem: VALIDATION, naming the field.
        """
        return cast("Command", payload.decode(message, cast("type", Command)))

    async def post(self, who: Principal | None, command: PostComment) -> PostedComment:
        """Post a comment; returns once it is durable.

        Raises:
            Problem: it is refused; nothing was posted.
            OvationError: a limit was reached, or nobody knows whether it was posted: the same key again is safe.
        """
        writer = _writer(who, command.stream_id)

        async def said() -> NewComment:
            return NewComment(text=command.content, parent_comment_id=command.parent_id)

        _, comment = await posting.post(self._deps, writer, command.stream_id, command.idempotency_key, said)
        return comment

    async def react(self, who: Principal | None, command: React) -> None:
        """Count a reaction; returns once it is durable.

        Raises:
            Problem: it is refused; nothing was counted.
            OvationError: a limit was reached, or nobody knows whether it was counted.
        """
        writer = _writer(who, command.stream_id)
        record = await self._deps.directory.get(command.stream_id)
        await self._deps.access.require_watch(writer, record)
        if command.comment_id is not None:
            raise Problem("VALIDATION", "Reactions to a single comment are not counted yet.", field="comment_id")
        await reactions.react(self._deps, writer, record, command.reaction_type)


def _writer(who: Principal | None, stream_id: str) -> Principal:
    """Whoever may write to the stream: by a token, or by a ticket of this stream; a cookie only reads.

    Raises:
        Problem: UNAUTHORIZED.
    """
    if who is None or who.read_only:
        raise Problem("UNAUTHORIZED", "Sign in to write: open /ws with a ticket, or with the token in an Authorization header.")
    if who.stream_id is not None and who.stream_id != stream_id:
        raise Problem("UNAUTHORIZED", "This ticket is for another stream; ask for one of this stream.")
    return who
