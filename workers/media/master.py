"""The multivariant playlist (RFC 8216bis, 4.4.6): which qualities there are.

A quality is listed only after its first whole segment: an empty one stalled a player three times ten seconds.
"""

from collections.abc import Iterable

from msgspec import Struct

from workers.media.cmaf.setup import Setup
from workers.media.m3u8 import VERSION

#: What is announced lies this much above the peak seen, so that it seldom has to be announced anew.
_HEADROOM = 1.1


class Variant(Struct):
    """One quality: what its initialisation segment says, and the bit rates of its segments so far (bits per second)."""

    name: str
    codecs: str
    width: int
    height: int
    frame_rate: float = 0.0
    bandwidth: int = 0
    bits: float = 0.0
    seconds: float = 0.0

    @property
    def quality(self) -> str:
        """What people call it: `720p`, or `audio` when there is no picture."""
        return f"{self.height}p" if self.height else "audio"

    def measure(self, size: int, seconds: float, pictures: int, target: int) -> bool:
        """Count a segment of *size* bytes in; tells whether the announced bandwidth was raised by it.

        The peak is taken over stretches of at least half a target duration, as 4.4.6.2 defines it.
        """
        bits = size * 8.0
        self.bits += bits
        self.seconds += seconds
        if not self.frame_rate and self.height:
            self.frame_rate = pictures / seconds
        if self.bandwidth and (seconds < target / 2 or bits / seconds <= self.bandwidth):
            return False
        self.bandwidth = round(bits / seconds * _HEADROOM)
        return True


def variant(name: str, setup: Setup) -> Variant:
    """Describe a quality by its tracks."""
    width, height = (setup.picture.width, setup.picture.height) if setup.picture else (0, 0)
    return Variant(name, setup.codecs, width, height)


def render(variants: Iterable[Variant]) -> str:
    """The text of the file, the best quality first."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}"]
    for each in sorted(variants, key=lambda each: (each.height, each.bandwidth), reverse=True):
        average = min(round(each.bits / each.seconds), each.bandwidth) if each.seconds else each.bandwidth
        fields = [f"BANDWIDTH={each.bandwidth}", f"AVERAGE-BANDWIDTH={average}", f'CODECS="{each.codecs}"']
        if each.height:
            fields += [f"RESOLUTION={each.width}x{each.height}", f"FRAME-RATE={each.frame_rate:.3f}"]
        lines += ["#EXT-X-STREAM-INF:" + ",".join(fields), f"{each.name}/index.m3u8"]
    return "\n".join(lines) + "\n"
