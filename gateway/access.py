"""Who may do what with a stream. Not allowed to watch and not existing give the same answer."""

from gateway.auth import Principal
from gateway.problems import Problem
from schemas.records import StreamRecord


def not_found(stream_id: str) -> Problem:
    """The one answer for a stream that is not there, or not for this viewer."""
    return Problem("NOT_FOUND", f"There is no stream {stream_id[:64]!r}, or it is not yours to see.")


def may_watch(principal: Principal | None, record: StreamRecord) -> bool:
    """Public streams anyone; all streams their creator and moderators."""
    return record.privacy == "public" or (principal is not None and may_moderate(principal, record))


def require_watch(principal: Principal | None, record: StreamRecord) -> None:
    """Let watch.

    Raises:
        Problem: NOT_FOUND.
    """
    if not may_watch(principal, record):
        raise not_found(record.stream_id)


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
