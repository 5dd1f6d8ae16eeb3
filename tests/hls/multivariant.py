"""A multivariant playlist: read, and checked by the rules of `rules` that are about it."""

import re
from collections.abc import Mapping
from itertools import pairwise

from tests.hls import playlist
from tests.hls.playlist import attributes, lines_of

_FOREIGN = ("#EXTINF", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY", "#EXT-X-MAP")


def read(raw: bytes) -> dict[str, dict[str, str]]:
    """URI -> attributes of every variant."""
    lines = [line for line in raw.decode().split("\n") if line]
    pairs = pairwise(lines)
    return {uri: attributes(tag.partition(":")[2], []) for tag, uri in pairs if tag.startswith("#EXT-X-STREAM-INF:")}


def check(raw: bytes) -> list[str]:
    """Check one by itself."""
    broken: list[str] = []
    lines = lines_of(raw, _FOREIGN, broken)
    if len([line for line in lines if re.fullmatch(r"#EXT-X-VERSION:\d+", line)]) != 1:
        broken.append("version: not exactly one")
    found = read(raw)
    if not found:
        broken.append("stream-inf: none")
    for uri, each in found.items():
        needed = ["BANDWIDTH", "CODECS"]
        needed += ["RESOLUTION", "FRAME-RATE"] if re.search(r"avc1|hvc1|av01", each.get("CODECS", "")) else []
        broken += [f"stream-inf: {uri} has no {name}" for name in needed if not each.get(name)]
        if each.get("RESOLUTION") and not re.fullmatch(r"[1-9]\d*x[1-9]\d*", each["RESOLUTION"]):
            broken.append(f"stream-inf: {each['RESOLUTION']}")
        if int(each.get("AVERAGE-BANDWIDTH", 0)) > int(each.get("BANDWIDTH", 0)):
            broken.append(f"bandwidth: {uri} has an average above the peak")
    for line, following in zip(lines, [*lines[1:], "#"], strict=True):
        if line.startswith("#EXT-X-STREAM-INF:"):
            attributes(line.partition(":")[2], broken)
            if following.startswith("#"):
                broken.append(f"stream-inf: {line} has no URI")
    return broken


def check_rates(raw: bytes, uri: str, media: bytes, sizes: Mapping[str, int]) -> list[str]:
    """Check the announced bandwidth of variant *uri*, which is *media*, against its segments' *sizes* (bytes by name)."""
    announced = int(read(raw)[uri]["BANDWIDTH"])
    played = playlist.read(media)
    # 4.3.4.2 takes the peak over stretches of at least half a target duration.
    long_enough = [each for each in played.segments if each.duration >= played.target / 2 and not each.gap]
    rates = {each.uri: sizes[each.uri] * 8 / each.duration for each in long_enough}
    return [f"bandwidth: {name} has {rate:.0f} of {announced} bit/s" for name, rate in rates.items() if rate > announced]
