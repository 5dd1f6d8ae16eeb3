"""What a low-latency playlist must be by itself, and what may change from one reading to the next."""

from itertools import pairwise

from tests.hls.playlist import Media, Segment

#: Playlists give durations and dates in milliseconds; a part's own clock rounds too.
ROUNDING_S = 0.002
#: Half of what a viewer's chat may be off by.
CLOCK_S = 0.010


def alone(media: Media) -> list[str]:
    """Check one whole playlist (not a delta update)."""
    return [*media.faults, *_head(media), *_durations(media), *_parts(media), *_dates(media.all), *_names(media)]


def _head(media: Media) -> list[str]:
    broken: list[str] = []
    control = media.control
    if media.target < 1 or not media.part_target:
        broken.append(f"target: {media.target}, parts {media.part_target}")
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


def _durations(media: Media) -> list[str]:
    return [
        f"duration: {each.uri} lasts {each.duration} s, the target is {media.target}"
        for each in media.segments
        if int(each.duration + 0.5) > media.target
    ]


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
        if not segment.map_uri:
            broken.append(f"map: none for {segment.uri or segment.msn}")
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


def _dates(segments: list[Segment]) -> list[str]:
    broken = [f"date: none for {each.uri or each.msn}" for each in segments if each.date is None and each.uri]
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
    return [f"name: {name} twice" for name in sorted(set(names)) if names.count(name) > 1 or not name]


def change(before: Media, after: Media) -> list[str]:
    """Check what changed between two whole playlists, the second asked for after the first had come."""
    broken: list[str] = []
    if (before.target, before.part_target) != (after.target, after.part_target):
        broken.append(f"target: {before.target}, {before.part_target} became {after.target}, {after.part_target}")
    if after.edge < before.edge or after.sequence < before.sequence:
        broken.append(f"back: {before.sequence}, {before.edge} became {after.sequence}, {after.edge}")
    if before.ended and not after.ended:
        broken.append("ended: goes on after its end")
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
