"""Problem documents (RFC 9457) and their stable codes."""

from msgspec import Struct

#: code -> (HTTP status, title, retryable). `type` is `urn:ovation:problem:<code in lower case>`.
CODES: dict[str, tuple[int, str, bool]] = {
    "UNAUTHORIZED": (401, "Sign in first", False),
    "FORBIDDEN": (403, "Not allowed", False),
    "BANNED": (403, "Banned from this stream", False),
    "NOT_FOUND": (404, "Not found", False),
    "METHOD_NOT_ALLOWED": (405, "Method not allowed", False),
    "CONFLICT": (409, "Not possible as things are now", True),
    "STREAM_ENDED": (409, "The stream has ended", False),
    "PAYLOAD_TOO_LARGE": (413, "The body is too large", False),
    "VALIDATION": (422, "The request is not valid", False),
    "CONTENT_VIOLATION": (422, "The text is not allowed here", False),
    "DUPLICATE": (422, "The same was just said", False),
    "RATE_LIMITED": (429, "Too many requests", True),
    "INTERNAL": (500, "Something broke on our side", False),
    "UNAVAILABLE": (503, "Not available at the moment", True),
}


class ProblemDocument(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every error under `/api`. `retry_after` is in whole seconds, rounded up."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    field: str | None = None
    retry_after: int | None = None
