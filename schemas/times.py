"""Times on the wire: RFC 3339 with milliseconds, UTC, `Z`.

Milliseconds since the Unix epoch inside, text outside; nothing is ever ordered by either.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

#: RFC 3339, section 5.6. ISO 8601 allows much more (weeks, bare dates, hours alone), which other people's clients do not read.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(ms: int) -> str:
    """Write *ms* (milliseconds since the epoch) as `2026-11-21T04:35:54.123Z`."""
    seconds, millis = divmod(ms, 1000)
    return f"{_second(seconds)}.{millis:03d}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    """Kept, since formatting takes 3 us and thousands of comments share a second."""
    # `%Y` writes the year 800 with three digits.
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def parse_rfc3339(text: str) -> int:
    """Read an RFC 3339 time into milliseconds since the epoch, cutting what is finer.

    Whatever is read can be written again: a time that is no year 1-9999 in UTC would stop every answer it stands in.

    Raises:
        ValueError: when *text* is no RFC 3339 time, names no offset, or lies outside the years 1-9999 in UTC.
    """
    if _TIME.fullmatch(text) is None:
        msg = f"{text[:40]!r} is no RFC 3339 time such as 2026-11-21T04:35:54.123Z"
        raise ValueError(msg)
    try:
        since = datetime.fromisoformat(text.upper()).astimezone(UTC) - _EPOCH
    except OverflowError as error:
        msg = f"{text!r} lies outside the years 1-9999 in UTC"
        raise ValueError(msg) from error
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
