"""Trace ids of requests: the caller's, or new ones. Pure."""

import random
import re

#: W3C Trace Context: version, trace id, parent id, flags.
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")
_SAMPLED = 1


def traced(traceparent: bytes | None) -> tuple[str, bool]:
    """The trace id of a `traceparent` header, and whether its trace is recorded; a new id where there is no such header."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent is not None else None
    return (match[1].decode(), bool(int(match[2], 16) & _SAMPLED)) if match else (new_trace_id(), False)


def new_trace_id() -> str:
    """Unlike any other; not secret, so not from the system, which takes 20 us for it."""
    return f"{random.getrandbits(128):032x}"
