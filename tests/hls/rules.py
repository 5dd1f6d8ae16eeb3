"""The rules of HLS that our playlists have to keep, as a checker that knows nothing of the code that writes them.

Each check returns the rules that are broken, as `rule: what was found`; none is good. `RULES` is what each rule says, in
RFC 8216 or, for parts, in draft-pantos-hls-rfc8216bis.
"""

from collections.abc import Sequence
from itertools import pairwise

from tests.hls.playlist import Media, Segment, read

RULES = {
    "text": "4.1: UTF-8 without BOM or control characters; the first line is #EXTM3U",
    "kind": "4.1: a playlist is a media or a multivariant playlist, never both",
    "form": "4: tags are those of a media playlist, each where and as often as it may be",
    "attributes": "4.2: attribute lists are NAME=value, comma separated, no name twice",
    "version": "4.3.1.2, 7: one EXT-X-VERSION, 6 or higher where EXT-X-MAP is used",
    "target": "4.3.3.1, 6.2.1: EXT-X-TARGETDURATION exactly once, a whole number above 0, and never another one",
    "extinf": "4.3.2.1: every segment has one EXTINF, every EXTINF a segment",
    "duration": "4.3.3.1: EXTINF rounded to the nearest whole number never exceeds the target duration",
    "sequence": "4.3.3.2/3: EXT-X-MEDIA-SEQUENCE and EXT-X-DISCONTINUITY-SEQUENCE at most once, before the first segment",
    "map": "3.3, 4.3.2.5: fMP4 segments follow an EXT-X-MAP with a URI",
    "discontinuity": "4.3.2.3, 6.2.2: another EXT-X-MAP comes with an EXT-X-DISCONTINUITY, which counts when it leaves",
    "date": "4.3.2.6: every segment has an EXT-X-PROGRAM-DATE-TIME with milliseconds and zone (ours: every one)",
    "clock": "4.3.2.6: dates follow the durations within one discontinuity but for a gap's, and never go back over one",
    "unique": "6.2.1, ours: no name occurs twice",
    "window": "6.2.2: a live playlist that dropped segments keeps at least three target durations",
    "endlist": "4.3.3.4, 6.2.1: EXT-X-ENDLIST at most once, and nothing changes after it",
    "steady": "6.2.1, 6.2.2: a segment keeps its number, duration, date and discontinuity number, and its parts",
    "front": "6.2.2: segments leave from the front only, and the media sequence counts them",
    "stream-inf": "4.3.4.2: EXT-X-STREAM-INF has BANDWIDTH and CODECS (pictures: RESOLUTION, FRAME-RATE), then a URI",
    "bandwidth": "4.3.4.2: AVERAGE-BANDWIDTH is not above BANDWIDTH, no segment's bit rate is",
    "variants": "6.2.4: variants have one target duration, and one discontinuity number and date for the same content",
    "control": "4.4.3.8: EXT-X-SERVER-CONTROL lets a reload block, with hold backs of three parts and three segments",
    "part": "4.4.4.9: parts last 85 to 100 % of their target, and are listed near the edge alone",
    "sum": "4.4.4.9: the parts of a segment last as long as it",
    "independent": "4.4.4.9: a segment's first part says that it is independent, where segments are",
    "hint": "4.4.5.3: one part to come is hinted at, and comes",
    "delta": "4.4.5.2: a delta update says what the whole playlist does, and skips what is old enough",
}
#: Playlists give durations and dates in milliseconds; a part's own clock rounds too.
ROUNDING_S = 0.002
#: Dates follow the encoder's clock by some milliseconds per segment: half of what a viewer's chat may be off by.
CLOCK_S = 0.010


def check_media(raw: bytes) -> list[str]:
    """Check one media playlist by itself, as a player that knows no parts."""
    return whole(read(raw))


def check_update(older: bytes, newer: bytes) -> list[str]:
    """Check what changed between two readings of the same media playlist."""
    return change(read(older), read(newer))


def whole(media: Media) -> list[str]:
    """Check what every playlist has to be."""
    broken = [*media.faults, *_segments(media.segments, media.target), *_dates(media.all), *_names(media)]
    if media.target < 1:
        broken.append(f"target: {media.target}")
    if media.version < 6 and any(each.map_uri for each in media.all):
        broken.append(f"version: {media.version} with EXT-X-MAP")
    lasts = sum(each.duration for each in media.segments)
    if media.sequence and not media.ended and lasts < 3 * media.target - ROUNDING_S:
        broken.append(f"window: {lasts:.3f} s after dropping segments")
    return broken


def alone(media: Media) -> list[str]:
    """Check one whole low-latency playlist (not a delta update)."""
    return [*whole(media), *_head(media), *_parts(media)]


def _segments(segments: Sequence[Segment], target: int) -> list[str]:
    broken: list[str] = []
    for each in segments:
        if int(each.duration + 0.5) > target:
            broken.append(f"duration: {each.uri} lasts {each.duration} s, the target is {target}")
        if not each.map_uri:
            broken.append(f"map: none for {each.uri}")
        if each.date is None:
            broken.append(f"date: none for {each.uri}")
    return broken


def _dates(segments: Sequence[Segment]) -> list[str]:
    broken: list[str] = []
    for one, two in pairwise(segments):
        if one.date is None or two.date is None:
            continue
        error = two.date - one.date - one.duration
        # The encoder's absence is told as a gap that ends when it is back.
        jumps = one.discontinuity != two.discontinuity or two.gap
        if error < -CLOCK_S or (error > CLOCK_S and not jumps):
            broken.append(f"clock: {two.uri or two.msn} is {error:+.3f} s off")
        if one.map_uri != two.map_uri and one.discontinuity == two.discontinuity:
            broken.append(f"discontinuity: {two.uri or two.msn} has another map and no discontinuity")
    return broken


def _names(media: Media) -> list[str]:
    names = [each.uri for each in media.segments] + [part.uri for each in media.all for part in each.parts]
    return [f"unique: {name} twice" for name in sorted(set(names)) if names.count(name) > 1 or not name]


def _head(media: Media) -> list[str]:
    broken: list[str] = []
    control = media.control
    if not media.part_target:
        broken.append("target: none for parts")
    if control.get("CAN-BLOCK-RELOAD") != "YES":
        broken.append("control: cannot block a reload")
    # 4.4.3.8: at least twice the part target, and should be three times.
    if float(control.get("PART-HOLD-BACK", 0)) < 3 * media.part_target - ROUNDING_S:
        broken.append(f"control: PART-HOLD-BACK {control.get('PART-HOLD-BACK')} for parts of {media.part_target}")
    if "HOLD-BACK" in control and float(control["HOLD-BACK"]) < 3 * media.target:
        broken.append(f"control: HOLD-BACK {control['HOLD-BACK']}")
    if "CAN-SKIP-UNTIL" in control and float(control["CAN-SKIP-UNTIL"]) < 6 * media.target:
        broken.append(f"control: CAN-SKIP-UNTIL {control['CAN-SKIP-UNTIL']}")
    if not media.ended and [hint.get("TYPE") for hint in media.hints].count("PART") != 1:
        broken.append(f"hint: {media.hints}")
    if media.skipped:
        broken.append("delta: skipped without being asked to")
    return broken


def _parts(media: Media) -> list[str]:
    broken: list[str] = []
    for segment in media.all:
        parts = segment.parts
        for each in parts:
            if each.duration > media.part_target + ROUNDING_S:
                broken.append(f"part: {each.uri} lasts {each.duration}")
            # 4.4.4.9: at least 85 % of the part target, but for a segment's last, which the newest may become.
            if each is not parts[-1] and each.duration < 0.85 * media.part_target:
                broken.append(f"part: {each.uri} lasts only {each.duration}")
        if parts and media.independent and not (parts[0].independent or parts[0].gap):
            broken.append(f"independent: {parts[0].uri} begins a segment")
        total = sum(each.duration for each in parts)
        if parts and segment.uri and abs(total - segment.duration) > ROUNDING_S * len(parts):
            broken.append(f"sum: parts of {segment.uri} last {total:.3f} s, it lasts {segment.duration}")
        if parts and not segment.map_uri:
            broken.append(f"map: none for the parts of {segment.msn}")
    return broken + _window(media)


def _window(media: Media) -> list[str]:
    """Parts are listed for three target durations from the edge (4.4.4.9), and not for much longer."""
    broken: list[str] = []
    later = sum(each.duration for each in media.coming.parts) if media.coming else 0.0
    for segment in reversed(media.segments):
        if not segment.parts and not segment.gap and later + segment.duration < 3 * media.target:
            broken.append(f"part: none listed for {segment.uri}, {later:.1f} s from the edge")
        if segment.parts and later > 5 * media.target:
            broken.append(f"part: still listed for {segment.uri}, {later:.1f} s from the edge")
        later += segment.duration
    return broken


def change(before: Media, after: Media) -> list[str]:
    """Check what changed between two whole playlists, the second asked for after the first had come."""
    broken: list[str] = []
    if before.target != after.target:
        broken.append(f"target: {before.target} became {after.target}")
    # A reading may be of a player that knows no parts.
    if before.part_target and after.part_target and before.part_target != after.part_target:
        broken.append(f"target: that of parts, {before.part_target}, became {after.part_target}")
    if after.edge < before.edge or after.sequence < before.sequence:
        broken.append(f"front: {before.sequence}, {before.edge} became {after.sequence}, {after.edge}")
    if before.ended and (not after.ended or after.all != before.all):
        broken.append("endlist: changed after the end")
    known = {each.msn: each for each in before.all}
    for segment in after.all:
        if segment.msn in known:
            broken += _steady(known[segment.msn], segment)
    # 6.2.2: a discontinuity that leaves the front is counted when its segment goes; no other change counts.
    first = known.get(after.sequence)
    if first is not None and after.all and after.all[0].discontinuity != first.discontinuity:
        broken.append(f"discontinuity: {before.discontinuity_sequence} became {after.discontinuity_sequence}")
    return broken


def _steady(former: Segment, segment: Segment) -> list[str]:
    """Nothing that was listed changes (6.2.1)."""
    broken: list[str] = []
    if former.uri and former.without_parts != segment.without_parts:
        broken.append(f"steady: {former} became {segment}")
    if segment.parts and former.parts != segment.parts[: len(former.parts)]:
        broken.append(f"steady: parts of {segment.msn}, {former.parts} became {segment.parts}")
    if (former.discontinuity, former.map_uri) != (segment.discontinuity, segment.map_uri):
        broken.append(f"steady: {former} became {segment}")
    return broken


def delta(whole: Media, update: Media) -> list[str]:
    """Check that a delta update says what the whole playlist of the same moment does."""
    broken = list(update.faults)
    if not update.skipped:
        return broken
    until = float(whole.control.get("CAN-SKIP-UNTIL", 0))
    if not until:
        broken.append("delta: skips although it says that it cannot")
    told = (update.sequence, update.target, update.part_target, update.edge, update.control)
    if told != (whole.sequence, whole.target, whole.part_target, whole.edge, whole.control):
        broken.append(f"delta: {told} is not the whole playlist's")
    rest = whole.segments[update.skipped :]
    if [(s.msn, s.uri, s.duration, s.date, s.parts, s.gap) for s in rest] != [
        (s.msn, s.uri, s.duration, s.date, s.parts, s.gap) for s in update.segments
    ]:
        broken.append(f"delta: {update.skipped} skipped of {len(whole.segments)}, {len(update.segments)} are left")
    newest = sum(each.duration for each in rest)
    if newest < until - whole.target - ROUNDING_S:
        broken.append(f"delta: skips what is {newest:.1f} s old, the boundary is {until}")
    return broken


def check_variants(playlists: Sequence[bytes]) -> list[str]:
    """Check that the variants agree where they show the same content."""
    broken: list[str] = []
    media = [read(raw) for raw in playlists]
    if len({each.target for each in media}) > 1:
        broken.append(f"variants: target durations {[each.target for each in media]}")
    by_date = {each.date: each for each in media[0].segments} if media else {}
    for other in media[1:]:
        common = [(by_date[each.date], each) for each in other.segments if each.date in by_date]
        if not common and other.segments and media[0].segments:
            broken.append("variants: no two segments begin at the same time")
        broken += [
            f"variants: {one} and {two}"
            for one, two in common
            if one.discontinuity != two.discontinuity or abs(one.duration - two.duration) > 0.1
        ]
    return broken
