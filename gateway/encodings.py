"""What of `Accept-Encoding` matters here (RFC 9110, 12.5.3). Pure."""

import re
from functools import lru_cache

_NEVER = re.compile(rb"q=0(\.0{0,3})?")


@lru_cache(256)
def takes_gzip(accepted: bytes) -> bool:
    """Whether the header's value lets us answer with gzip: by name, or else by `*`; a weight of 0 is a no."""
    weights: dict[bytes, bytes] = {}
    for each in accepted.lower().split(b","):
        name, _, weight = each.partition(b";")
        weights[name.strip()] = b"".join(weight.split())
    for name in (b"gzip", b"x-gzip", b"*"):
        if name in weights:
            return _NEVER.fullmatch(weights[name]) is None
    return False
