"""Who may do what with a stream. Not allowed to watch and not existing give the same answer."""

from collections.abc import Callable
from typing import Protocol

from gateway.auth import Principal
from gateway.granted import Granted
from gateway.problems import Problem
from infra.jetstream.feed import Feed
from schemas import subjects
from schemas.records import StreamRecord


class Visitor(Protocol):
    """Whoever wants to watch: a principal, or the holder of a playback URL."""

    @property
    def party(self) -> str:
        """The person, as grants name them (`subjects.party`)."""

    @property
    def moderates(self) -> bool:
        """Whether every stream may be moderated."""


class Access:
    """The one rule of every read: may this viewer watch. One per gateway.

    Public streams anyone; `followers` the creator's followers; `private` those invited; moderators and the creator always.
    """

    def __init__(self, follows: Granted, invitations: Granted) -> None:
        self.follows = follows
        self.invitations = invitations

    async def start(self, feed: Feed) -> None:
        """Follow who follows whom and who is invited.

        Raises:
            Unavailable: the broker is away.
        """
        await self.follows.start(feed)
        await self.invitations.start(feed)

    async def stop(self) -> None:
        """Stop following."""
        await self.follows.stop()
        await self.invitations.stop()

    def on_taken_back(self, call: Callable[[str], None]) -> None:
        """Call *call* with the scope (see `scope`) in which somebody may watch no more."""
        self.follows.on_taken_back = self.invitations.on_taken_back = call

    def decided(self, visitor: Visitor | None, record: StreamRecord) -> bool | None:
        """Whether *visitor* may watch, from what is known here; `None` when somebody has to be asked."""
        if record.privacy == "public":
            return True
        if visitor is None:
            return False
        if visitor.moderates or visitor.party == subjects.party(record.broadcaster.id):
            return True
        granted = self.follows if record.privacy == "followers" else self.invitations
        return granted.known(scope(record), visitor.party)

    async def may_watch(self, visitor: Visitor | None, record: StreamRecord) -> bool:
        """Whether *visitor* may watch.

        Raises:
            Unavailable: nobody can say.
        """
        decided = self.decided(visitor, record)
        if decided is not None or visitor is None:
            return decided is True
        granted = self.follows if record.privacy == "followers" else self.invitations
        return await granted.ask(scope(record), visitor.party)

    async def require_watch(self, visitor: Visitor | None, record: StreamRecord) -> None:
        """Let watch.

        Raises:
            Problem: NOT_FOUND.
            Unavailable: nobody can say.
        """
        if not await self.may_watch(visitor, record):
            raise not_found(record.stream_id)

    async def require_follower(self, who: Principal, record: StreamRecord) -> None:
        """Let say something where only followers may; the creator and moderators always.

        Raises:
            Problem: FORBIDDEN.
            Unavailable: nobody can say.
        """
        if may_moderate(who, record) or await self.follows.ask(subjects.party(record.broadcaster.id), who.party):
            return
        raise Problem("FORBIDDEN", f"Only followers of {record.broadcaster.name} may comment here; follow them first.")


def scope(record: StreamRecord) -> str:
    """What the grants are for that let watch a stream which is not public."""
    return subjects.party(record.broadcaster.id) if record.privacy == "followers" else record.stream_id


def not_found(stream_id: str) -> Problem:
    """The one answer for a stream that is not there, or not for this viewer."""
    return Problem("NOT_FOUND", f"There is no stream {stream_id[:64]!r}, or it is not yours to see.")


def may_moderate(principal: Principal, record: StreamRecord) -> bool:
    """The creator, moderators and admins."""
    return principal.moderates or principal.id == record.broadcaster.id


def require_moderate(principal: Principal, record: StreamRecord) -> None:
    """Let change.

    Raises:
        Problem: FORBIDDEN.
    """
    if not may_moderate(principal, record):
        raise Problem("FORBIDDEN", "Only the stream's creator and moderators may do this.")


def require_user(principal: Principal | None) -> Principal:
    """Let write.

    Raises:
        Problem: UNAUTHORIZED without a credential; FORBIDDEN with one that only reads.
    """
    if principal is None:
        raise Problem("UNAUTHORIZED", "Send Authorization: Bearer <token>; guests get one from POST /api/v1/session.")
    if principal.read_only:
        raise Problem("FORBIDDEN", "This credential only reads; send the token in the Authorization header.")
    return principal
