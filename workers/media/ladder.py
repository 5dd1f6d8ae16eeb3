"""Which lower renditions a source gets: by its size, and by the processor time this worker may spend.

A stream whose renditions would overcommit the machine is passed through only, which costs 2 % of a core. Of a source that is
not H.264 many players can play nothing that is passed through: its first rendition is as large as can be paid for, up to the
source's own size, and goes before all lower ones.
"""

import os
from collections.abc import Sequence

from workers.media.flv import AV1, AVC, HEVC

#: Of each core; the rest is for everything else here.
PER_CORE = 0.7
#: Heights a source is transcoded to when it is not above any wanted one.
_LOWER = (360, 240, 144)
#: Cores that encoding costs (x264 superfast, 30 pictures per second, a hard source) by height, and decoding the source.
_ENCODE = {144: 0.02, 240: 0.04, 360: 0.08, 480: 0.12, 720: 0.30, 1080: 0.50}
_DECODE = {360: 0.02, 720: 0.04, 1080: 0.18, 1440: 0.32, 2160: 0.70}
#: Decoding costs this much more than H.264 does. Measured at 720p and 4 Mbit/s: x265's 1.5, SVT-AV1's 0.9, of its fastest
#: preset; the slower ones and cameras' encoders use more of AV1.
_HARDER = {AVC: 1.0, HEVC: 1.5, AV1: 1.5}


def rungs(source: int, wanted: Sequence[int]) -> list[int]:
    """The heights for a source of *source* lines, the highest first; none when none was wanted."""
    if not wanted or not source:
        return []
    below = sorted({height for height in wanted if 0 < height < source}, reverse=True)
    return below or [height for height in _LOWER if height < source][:1]


def top_rungs(source: int) -> list[int]:
    """What may stand in for a source of *source* lines that is not H.264, the highest first; heights are even."""
    first = min(source - source % 2, max(_ENCODE))
    return [first, *sorted((height for height in _ENCODE if height < first), reverse=True)]


def cost(source: int, heights: Sequence[int], codec: int = AVC) -> float:
    """Cores needed to make *heights* of a source of *source* lines in *codec*."""
    if not heights:
        return 0.0
    return _of(_DECODE, source) * _HARDER[codec] + sum(_of(_ENCODE, height) for height in heights)


def _of(table: dict[int, float], height: int) -> float:
    return next((cores for least, cores in table.items() if height <= least), list(table.values())[-1])


class Budget:
    """Processor time for transcoding, in cores, over all streams of this worker."""

    def __init__(self, cores: float = 0.0) -> None:
        """*cores* in all; 0 for `PER_CORE` of each that the machine has."""
        self._left = cores or PER_CORE * (os.cpu_count() or 1)

    def choose(self, source: int, wanted: Sequence[int], codec: int = AVC) -> tuple[list[int], float]:
        """The most of the *wanted* heights that can be paid for, the lowest first; they are paid with the sum returned.

        Of a source in another codec than H.264 the first is as high as can be paid for, whatever heights are wanted.
        """
        chosen = rungs(source, wanted)
        if codec == AVC or source < 2 or not wanted:
            return self._pay(source, [], chosen, codec)
        top = next((height for height in top_rungs(source) if self._affords(cost(source, [height], codec))), 0)
        return self._pay(source, [top] if top else [], [height for height in chosen if height < top], codec)

    def _pay(self, source: int, fixed: list[int], chosen: list[int], codec: int) -> tuple[list[int], float]:
        while chosen and not self._affords(cost(source, fixed + chosen, codec)):
            chosen.pop(0)
        price = cost(source, fixed + chosen, codec)
        self._left -= price
        return fixed + chosen, price

    def _affords(self, price: float) -> bool:
        return price <= self._left + 1e-9

    def give(self, price: float) -> None:
        """Give back what `choose` took."""
        self._left += price
