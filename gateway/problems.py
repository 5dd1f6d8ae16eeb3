"""Every error as a problem document (RFC 9457): a stable code, a cause people can read, and the next step."""

import msgspec

from infra.errors import Conflict, LimitReached, Missing, OvationError, Unavailable
from infra.telemetry import metrics
from schemas.problems import CODES, ProblemDocument


class Problem(Exception):
    """A request that cannot be served; *code* is one of `schemas.problems.CODES`."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        retry_after: int | None = None,
        status: int | None = None,
    ) -> None:
        """*field* names the field at fault, *retry_after* is in whole seconds, *status* overrides the code's own."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        self.status = status or CODES[code][0]


def document(problem: Problem) -> ProblemDocument:
    """The document of a problem."""
    _, title, retryable = CODES[problem.code]
    return ProblemDocument(
        type=f"urn:ovation:problem:{problem.code.lower().replace('_', '-')}",
        title=title,
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        retryable=retryable,
        field=problem.field,
        retry_after=problem.retry_after,
    )


def render(problem: Problem) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """(status, headers, body), for whoever writes responses by hand; counts the problem."""
    metrics.PROBLEMS.labels(problem.code).inc()
    headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    if problem.retry_after is not None:
        headers.append((b"retry-after", str(problem.retry_after).encode()))
    if problem.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="ovation"'))
    return problem.status, headers, msgspec.json.encode(document(problem))


def from_error(error: OvationError) -> Problem:
    """What an adapter's error is to the caller of the API."""
    match error:
        case LimitReached():
            return Problem("RATE_LIMITED", f"Too many; try again in {error.retry_after} s.", retry_after=error.retry_after)
        case Unavailable():
            return Problem("UNAVAILABLE", f"{error}; try again.", retry_after=max(1, error.retry_after))
        case Conflict():
            return Problem("CONFLICT", f"{error}; read it again.")
        case Missing():
            return Problem("NOT_FOUND", str(error))
        case _:
            return Problem("INTERNAL", "The request failed; it is in the log.")
