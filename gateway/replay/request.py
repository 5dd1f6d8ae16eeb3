"""What a replay's request asks for."""

import re

from msgspec import Struct

from gateway.fanout.admission import MAX_SEQ, EventsRequest
from gateway.problems import Problem
from schemas.times import parse_rfc3339

#: Slower than a quarter nobody follows a talk; at 16 an hour takes four minutes, which is a search and no longer a replay.
SLOWEST, FASTEST = 0.25, 16.0
_SPEED = re.compile(r"\d{1,3}(\.\d{1,6})?", re.ASCII)


class ReplayRequest(Struct, frozen=True):
    """Checked. Of `from_seq` and `from_ms` at most one is set; neither: the beginning."""

    from_seq: int | None
    from_ms: int | None
    speed: float
    #: Resume after this position.
    last_id: int | None
    backfill: int

    @classmethod
    def read(cls, request: EventsRequest) -> "ReplayRequest":
        """Take what *request* says of the replay.

        Raises:
            Problem: VALIDATION, naming the parameter.
        """
        last_id, backfill, speed = request.last_id(), request.backfill(0), _speed(request.parameter("speed"))
        from_seq, from_ms = _from(request.parameter("from"))
        if request.brings_header:
            # A native reconnect: the address still says where the first connection began.
            from_seq = from_ms = None
        return cls(from_seq, from_ms, speed, last_id, backfill)


def _speed(text: str | None) -> float:
    if text is None:
        return 1.0
    if _SPEED.fullmatch(text) is None or not SLOWEST <= float(text) <= FASTEST:
        raise Problem("VALIDATION", f"speed must be {SLOWEST:g}-{FASTEST:g}, not {text[:40]!r}.", field="speed")
    return float(text)


def _from(text: str | None) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    if text.isascii() and text.isdecimal():
        if len(text) <= 16 and int(text) < MAX_SEQ:
            return int(text), None
        raise Problem("VALIDATION", f"from must be a sequence number below 2^53, not {text[:40]!r}.", field="from")
    try:
        # In a query a plus that was not escaped is a space.
        return None, parse_rfc3339(text.replace(" ", "+"))
    except ValueError as error:
        raise Problem("VALIDATION", f"from must be a time or a sequence number: {error}.", field="from") from error
