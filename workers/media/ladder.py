"""Which lower renditions a source gets: by its size, and by the processor time this worker may spend.

A stream whose renditions would overcommit the machine is passed through only, which costs 2 % of a core.
"""

import os
from collections.abc import Sequence

#: Of each core; the rest is for everything else here.
PER_CORE = 0.7
#: Heights a source is transcoded to when it is not above any wanted one.
_LOWER = (360, 240, 144)
#: Cores that encoding costs (x264 superfast, 30 pictures per second, a hard source) by height, and decoding the source.
_ENCODE = {144: 0.02, 240: 0.04, 360: 0.08, 480: 0.12, 720: 0.30, 1080: 0.50}
_DECODE = {360: 0.02, 720: 0.04, 1080: 0.18, 1440: 0.32, 2160: 0.70}


def rungs(source: int, wanted: Sequence[int]) -> list[int]:
    """The heights for a source of *source* lines, the highest first; none when none was wanted."""
    if not wanted or not source:
        return []
    below = sorted({height for height in wanted if 0 < height < source}, reverse=True)
    return below or [height for height in _LOWER if height < source][:1]


def cost(source: int, heights: Sequence[int]) -> float:
    """Cores needed to make *heights* of a source of *source* lines."""
    if not heights:
        return 0.0
    return _of(_DECODE, source) + sum(_of(_ENCODE, height) for height in heights)


def _of(table: dict[int, float], height: int) -> float:
    return next((cores for least, cores in table.items() if height <= least), list(table.values())[-1])


class Budget:
    """Processor time for transcoding, in cores, over all streams of this worker."""

    def __init__(self, cores: float = 0.0) -> None:
        """*cores* in all; 0 for `PER_CORE` of each that the machine has."""
        self._left = cores or PER_CORE * (os.cpu_count() or 1)

    def choose(self, source: int, wanted: Sequence[int]) -> tuple[list[int], float]:
        """The most of the *wanted* heights that can be paid for, the lowest first; they are paid with the sum returned."""
        chosen = rungs(source, wanted)
        while chosen and cost(source, chosen) > self._left + 1e-9:
            chosen.pop(0)
        price = cost(source, chosen)
        self._left -= price
        return chosen, price

    def give(self, price: float) -> None:
        """Give back what `choose` took."""
        self._left += price
