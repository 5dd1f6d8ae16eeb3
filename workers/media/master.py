"""The multivariant playlist (RFC 8216, 4.3.4): which qualities there are.

A quality is listed only after its first whole segment: an empty one stalled a player three times ten seconds.
"""

from collections.abc import Iterable

from msgspec import Struct

from workers.media.cutter import Segment
from workers.media.mp4 import Track
from workers.media.playlist import VERSION

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

    def measure(self, segment: Segment, target: int) -> bool:
        """Count *segment* in; tells whether the announced bandwidth was raised by it.

        The peak is taken over stretches of at least half a target duration, as 4.3.4.2 defines it.
        """
        bits = len(segment.data) * 8.0
        self.bits += bits
        self.seconds += segment.duration
        if not self.frame_rate and self.height:
            self.frame_rate = segment.pictures / segment.duration
        if self.bandwidth and (segment.duration < target / 2 or bits / segment.duration <= self.bandwidth):
            return False
        self.bandwidth = round(bits / segment.duration * _HEADROOM)
        return True


def variant(name: str, tracks: Iterable[Track]) -> Variant:
    """Describe a quality by the tracks of its initialisation segment."""
    tracks = sorted(tracks, key=lambda track: track.kind, reverse=True)
    picture = next((track for track in tracks if track.kind == "video"), None)
    width, height = (picture.width, picture.height) if picture else (0, 0)
    return Variant(name, ",".join(track.codec for track in tracks), width, height)


def render(variants: Iterable[Variant]) -> str:
    """The text of the file, the best quality first."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}"]
    for each in sorted(variants, key=lambda each: (each.height, each.bandwidth), reverse=True):
        average = round(each.bits / each.seconds) if each.seconds else each.bandwidth
        fields = [f"BANDWIDTH={each.bandwidth}", f"AVERAGE-BANDWIDTH={average}", f'CODECS="{each.codecs}"']
        if each.height:
            fields += [f"RESOLUTION={each.width}x{each.height}", f"FRAME-RATE={each.frame_rate:.3f}"]
        lines += ["#EXT-X-STREAM-INF:" + ",".join(fields), f"{each.name}/index.m3u8"]
    return "\n".join(lines) + "\n"
