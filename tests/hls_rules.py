"""The rules of RFC 8216 that our playlists have to keep, as a checker that knows nothing of the code that writes them.

`RULES` is the list. Each `check_*` function returns the rules that are broken, as `id: what was found`; none is good.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

RULES = {
    "text": "4.1: UTF-8 without BOM or control characters; the first line is #EXTM3U",
    "kind": "4.1: a playlist is a media or a multivariant playlist, never both",
    "attributes": "4.2: attribute lists are NAME=value, comma separated, no name twice",
    "version": "4.3.1.2, 7: one EXT-X-VERSION, 6 or higher where EXT-X-MAP is used",
    "target": "4.3.3.1: EXT-X-TARGETDURATION exactly once, a whole number above 0",
    "extinf": "4.3.2.1: every segment has one EXTINF, every EXTINF a segment",
    "duration": "4.3.3.1: EXTINF rounded to the nearest whole number never exceeds the target duration",
    "sequence": "4.3.3.2/3: EXT-X-MEDIA-SEQUENCE and EXT-X-DISCONTINUITY-SEQUENCE once each, before the first segment",
    "map": "3.3, 4.3.2.5: fMP4 segments follow an EXT-X-MAP with a URI",
    "discontinuity": "4.3.2.3: another EXT-X-MAP comes with an EXT-X-DISCONTINUITY",
    "date": "4.3.2.6: every segment has an EXT-X-PROGRAM-DATE-TIME with milliseconds and zone (ours: every one)",
    "clock": "4.3.2.6: dates follow the durations within one discontinuity but for a gap's, and never go back over one",
    "unique": "6.2.1, ours: no segment name occurs twice",
    "window": "6.2.2: a live playlist that dropped segments keeps at least three target durations",
    "endlist": "4.3.3.4, 6.2.1: EXT-X-ENDLIST at most once, and nothing changes after it",
    "steady": "6.2.1: the target duration never changes",
    "number": "6.2.2: a segment keeps its media sequence number, its duration, its date and its discontinuity number",
    "front": "6.2.2: segments leave from the front only, and the media sequence counts them",
    "stream-inf": "4.3.4.2: EXT-X-STREAM-INF has BANDWIDTH and CODECS (pictures: RESOLUTION, FRAME-RATE), then a URI",
    "bandwidth": "4.3.4.2: AVERAGE-BANDWIDTH is not above BANDWIDTH, no segment's bit rate is",
    "variants": "6.2.4: variants have one target duration, and one discontinuity number and date for the same content",
}

_MEDIA_TAGS = ("#EXTINF", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY", "#EXT-X-MAP")
_MASTER_TAGS = ("#EXT-X-STREAM-INF", "#EXT-X-MEDIA:", "#EXT-X-I-FRAME-STREAM-INF")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)")
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(?:,|$)')
#: Durations and dates are both rounded to the millisecond.
_ROUNDING_S = 0.002
#: Dates follow the encoder's clock by some milliseconds per segment.
_CLOCK_S = 0.010


@dataclass(frozen=True)
class Segment:
    """One segment as a player understands it."""

    number: int
    discontinuity: int
    uri: str
    duration: float
    date: float | None
    map_uri: str
    gap: bool = False


@dataclass
class Media:
    """A media playlist as a player understands it, and what was wrong on the way."""

    target: int = 0
    sequence: int = 0
    independent: bool = False
    ended: bool = False
    segments: list[Segment] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def attributes(text: str, broken: list[str]) -> dict[str, str]:
    """Read an attribute list; quoted values without their quotes."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _ATTRIBUTE.match(text, at)
        if match is None or match[1] in found:
            broken.append(f"attributes: {text!r}")
            break
        found[match[1]] = match[2].strip('"')
        at = match.end()
    return found


def _lines(raw: bytes, foreign: Sequence[str], broken: list[str]) -> list[str]:
    text = raw.decode("utf-8", "replace")
    if "\ufffd" in text or text.startswith("\ufeff") or re.search(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]", text):
        broken.append("text: not clean UTF-8")
    lines = [line for line in text.split("\n") if line]
    if not lines or lines[0] != "#EXTM3U":
        broken.append("text: the first line is not #EXTM3U")
    broken += [f"kind: {line}" for line in lines if line.startswith(tuple(foreign))]
    return lines


def _once(lines: Sequence[str], tag: str, rule: str, broken: list[str], default: int | None = None) -> int:
    values = [line.removeprefix(tag + ":") for line in lines if line.startswith(tag + ":")]
    if (not values and default is not None) or (len(values) == 1 and values[0].isdecimal()):
        return int(values[0]) if values else default or 0
    broken.append(f"{rule}: {tag} is {values}")
    return 0


def read_media(raw: bytes) -> Media:
    """Read one media playlist; `broken` has the rules that its text alone breaks."""
    media = Media()
    broken = media.broken
    lines = _lines(raw, _MASTER_TAGS, broken)
    media.target = _once(lines, "#EXT-X-TARGETDURATION", "target", broken)
    media.sequence = _once(lines, "#EXT-X-MEDIA-SEQUENCE", "sequence", broken, 0)
    number = _once(lines, "#EXT-X-DISCONTINUITY-SEQUENCE", "sequence", broken, 0)
    version = _once(lines, "#EXT-X-VERSION", "version", broken)
    media.independent = "#EXT-X-INDEPENDENT-SEGMENTS" in lines
    media.ended = "#EXT-X-ENDLIST" in lines
    if lines.count("#EXT-X-ENDLIST") > 1:
        broken.append("endlist: more than one")
    if version < 6 and any(line.startswith("#EXT-X-MAP") for line in lines):
        broken.append(f"version: {version} with EXT-X-MAP")
    _read_segments(media, lines, number)
    return media


def _read_segments(media: Media, lines: Sequence[str], discontinuity: int) -> None:
    broken = media.broken
    tags: dict[str, str] = {}
    for line in lines:
        tag, _, value = line.partition(":")
        if line.startswith("#"):
            discontinuity += tag == "#EXT-X-DISCONTINUITY"
            if tag == "#EXTINF" and (tag in tags or not re.fullmatch(r"\d+(\.\d+)?,.*", value)):
                broken.append(f"extinf: {line}")
            if tag in ("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE") and media.segments:
                broken.append(f"sequence: {tag} after a segment")
            tags[tag] = value
            continue
        if "#EXTINF" not in tags:
            broken.append(f"extinf: none for {line}")
        stamp = tags.pop("#EXT-X-PROGRAM-DATE-TIME", "")
        media.segments.append(
            Segment(
                number=media.sequence + len(media.segments),
                discontinuity=discontinuity,
                uri=line,
                duration=float(tags.pop("#EXTINF", "0,").partition(",")[0]),
                date=datetime.fromisoformat(stamp).timestamp() if _DATE.fullmatch(stamp) else None,
                map_uri=attributes(tags.get("#EXT-X-MAP", ""), broken).get("URI", ""),
                gap=tags.pop("#EXT-X-GAP", None) is not None,
            )
        )
    if "#EXTINF" in tags:
        broken.append("extinf: the last one has no segment")


def check_media(raw: bytes) -> list[str]:
    """Check one media playlist by itself."""
    media = read_media(raw)
    broken = media.broken
    segments = media.segments
    if media.target < 1:
        broken.append(f"target: {media.target}")
    for each in segments:
        if int(each.duration + 0.5) > media.target:
            broken.append(f"duration: {each.uri} lasts {each.duration} s, the target is {media.target}")
        if not each.map_uri:
            broken.append(f"map: none for {each.uri}")
        if each.date is None:
            broken.append(f"date: none for {each.uri}")
    broken += _between(segments)
    names = [each.uri for each in segments]
    broken += [f"unique: {name}" for name in sorted(set(names)) if names.count(name) > 1]
    lasts = sum(each.duration for each in segments)
    if media.sequence and not media.ended and lasts < 3 * media.target - _ROUNDING_S:
        broken.append(f"window: {lasts:.3f} s after dropping segments")
    return broken


def _between(segments: Sequence[Segment]) -> list[str]:
    broken: list[str] = []
    for before, after in pairwise(segments):
        if before.map_uri != after.map_uri and before.discontinuity == after.discontinuity:
            broken.append(f"discontinuity: {after.uri} has another map and no discontinuity")
        if before.date is None or after.date is None:
            continue
        error = after.date - before.date - before.duration
        # The encoder's absence is told as a gap that ends when it is back.
        jumps = before.discontinuity != after.discontinuity or after.gap
        if error < -_CLOCK_S or (error > _CLOCK_S and not jumps):
            broken.append(f"clock: {after.uri} is {error:+.3f} s off")
    return broken


def check_update(older: bytes, newer: bytes) -> list[str]:
    """Check what changed between two readings of the same media playlist."""
    before, after = read_media(older), read_media(newer)
    broken: list[str] = []
    if before.target != after.target:
        broken.append(f"steady: {before.target} became {after.target}")
    if before.ended and older != newer:
        broken.append("endlist: changed after the end")
    if after.sequence < before.sequence:
        broken.append(f"front: media sequence went from {before.sequence} back to {after.sequence}")
    if after.segments and before.segments and after.segments[-1].number < before.segments[-1].number:
        broken.append("front: the newest segment is gone")
    known = {each.number: each for each in before.segments}
    broken += [
        f"number: {known[each.number]} became {each}"
        for each in after.segments
        if each.number in known and known[each.number] != each
    ]
    return broken


def check_master(raw: bytes) -> list[str]:
    """Check a multivariant playlist by itself."""
    broken: list[str] = []
    lines = _lines(raw, _MEDIA_TAGS, broken)
    _once(lines, "#EXT-X-VERSION", "version", broken)
    found = read_master(raw)
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


def read_master(raw: bytes) -> dict[str, dict[str, str]]:
    """URI -> attributes of every variant."""
    lines = [line for line in raw.decode().split("\n") if line]
    pairs = pairwise(lines)
    return {uri: attributes(tag.partition(":")[2], []) for tag, uri in pairs if tag.startswith("#EXT-X-STREAM-INF:")}


def check_rates(master: bytes, uri: str, media: bytes, sizes: Mapping[str, int]) -> list[str]:
    """Check the announced bandwidth of variant *uri* against its segments' *sizes* (bytes by name)."""
    announced = int(read_master(master)[uri]["BANDWIDTH"])
    playlist = read_media(media)
    # 4.3.4.2 takes the peak over stretches of at least half a target duration.
    long_enough = [each for each in playlist.segments if each.duration >= playlist.target / 2 and not each.gap]
    rates = {each.uri: sizes[each.uri] * 8 / each.duration for each in long_enough}
    return [f"bandwidth: {name} has {rate:.0f} of {announced} bit/s" for name, rate in rates.items() if rate > announced]


def check_variants(playlists: Sequence[bytes]) -> list[str]:
    """Check that the variants agree where they show the same content."""
    broken: list[str] = []
    read = [read_media(raw) for raw in playlists]
    if len({each.target for each in read}) > 1:
        broken.append(f"variants: target durations {[each.target for each in read]}")
    by_date = {each.date: each for each in read[0].segments} if read else {}
    for other in read[1:]:
        common = [(by_date[each.date], each) for each in other.segments if each.date in by_date]
        if not common and other.segments and read[0].segments:
            broken.append("variants: no two segments begin at the same time")
        broken += [
            f"variants: {one} and {two}"
            for one, two in common
            if one.discontinuity != two.discontinuity or abs(one.duration - two.duration) > 0.1
        ]
    return broken
