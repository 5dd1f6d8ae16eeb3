"""RTMP's times as one line: unwrapped, and small steps back ironed out.

Times are milliseconds modulo 2^32: an encoder that counts from its machine's start crosses that edge after 49.7 days of
uptime, in the middle of a broadcast.
"""

#: A step back up to this is an encoder's rounding or interleaving; above, its clock was set anew, which others decide on.
JITTER_MS = 1000
_WRAP = 1 << 32


class Stamps:
    """One publisher's clock."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._newest: dict[int, int] = {}

    def take(self, kind: int, raw: int) -> int:
        """The time of a message of type *kind* whose header says *raw*.

        Within one kind times never step back by `JITTER_MS` or less: they stand still instead.
        """
        last = raw if self._last is None else self._last
        # The nearest number to the last one that is *raw* modulo 2^32.
        stamp = last + (raw - last + _WRAP // 2) % _WRAP - _WRAP // 2
        self._last = stamp
        # An encoder that steps back behind its own first message: no container has times before zero.
        stamp = max(stamp, 0)
        newest = self._newest.get(kind, stamp)
        if newest - JITTER_MS <= stamp < newest:
            return newest
        self._newest[kind] = stamp
        return stamp
