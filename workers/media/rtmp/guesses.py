"""Refused stream keys by address. Nobody guesses 256 bits; this bounds what trying costs the stream records."""

import math
import secrets

from infra.clock import Clock
from infra.limit import Limit
from workers.media.rtmp.peers import party

#: Counters, over which addresses are spread by a secret hash. A table of addresses would have to forget some when it is
#: full and so let a crowd pass; two addresses that share a counter are only held to it together.
SLOTS = 16_384


class Guesses:
    """At most `SLOTS` numbers. Windows begin with the first refused key, so twice the limit may fall around a boundary."""

    def __init__(self, limit: Limit, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._salt = secrets.randbits(64)
        self._slots: dict[int, tuple[float, int]] = {}

    def wait(self, address: str) -> int:
        """Whole seconds until *address* may try a key again; 0 for now."""
        since, count = self._slots.get(self._slot(address), (0.0, 0))
        left = since + self._limit.seconds - self._clock.monotonic()
        return math.ceil(left) if count >= self._limit.count and left > 0 else 0

    def wrong(self, address: str) -> None:
        """A key from *address* was refused."""
        slot, now = self._slot(address), self._clock.monotonic()
        since, count = self._slots.get(slot, (now, 0))
        if now - since >= self._limit.seconds:
            since, count = now, 0
        self._slots[slot] = (since, count + 1)

    def _slot(self, address: str) -> int:
        return hash((self._salt, party(address))) % SLOTS
