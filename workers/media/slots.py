"""How many transcodes one machine may run: past it a stream is passed through only, which costs 2 % of a core."""

import os

#: 360p of a hard 1080p source costs a quarter of a core (x264 superfast); the rest is for everything else here.
PER_CORE = 2


class Slots:
    """A counter with an end."""

    def __init__(self, most: int | None = None) -> None:
        """*most* transcodes at once; by default `PER_CORE` for each core."""
        self._free = most if most is not None else PER_CORE * (os.cpu_count() or 1)

    def take(self) -> bool:
        """Take one; tells whether there was one."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def give(self) -> None:
        """Give one back."""
        self._free += 1
