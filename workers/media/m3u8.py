"""The text of media playlists (RFC 8216bis, 4.4): with parts for players that know them, without for the folder."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from schemas.times import parse_rfc3339, rfc3339
from workers.media.playlist import Entry, Playlist, part_uri

#: EXT-X-SKIP needs 9 (section 8).
VERSION = 9
#: 4.4.3.8: parts are listed within three target durations of the end, and three parts are the least to hold back.
PARTS_WITHIN = 3
#: 4.4.3.8: the least a delta update may leave in, in target durations.
SKIP_AFTER = 6


class Report(NamedTuple):
    """Where another rendition is: its playlist's name seen from this one, media sequence number, part."""

    uri: str
    msn: int
    part: int


class Live(NamedTuple):
    """What a live playlist says beyond its segments.

    *following*: the number of the part that comes next; *fresh*: segments of discontinuities below it are from before an
    outage, and nobody who joins is to see them.
    """

    part_target_ms: int
    following: int
    fresh: int
    reports: Sequence[Report] = ()


def render(playlist: Playlist) -> str:
    """The plain text: complete segments only."""
    complete = [entry for entry in playlist.entries if entry.complete]
    lines = [*_head(playlist), *_numbers(playlist)]
    lines += _segments(complete, fresh=0, parts_from_ms=None)
    if playlist.ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def render_live(playlist: Playlist, live: Live, *, skip: bool = False) -> str:
    """The low-latency text; *skip*: as a delta update, where there is enough to skip."""
    target_ms = playlist.target * 1000
    control = ["CAN-BLOCK-RELOAD=YES"] if not playlist.ended else []
    control += [f"PART-HOLD-BACK={_seconds(PARTS_WITHIN * live.part_target_ms)}", f"HOLD-BACK={_seconds(3 * target_ms)}"]
    control.append(f"CAN-SKIP-UNTIL={_seconds(SKIP_AFTER * target_ms)}")
    lines = [*_head(playlist), "#EXT-X-SERVER-CONTROL:" + ",".join(control)]
    lines += [f"#EXT-X-PART-INF:PART-TARGET={_seconds(live.part_target_ms)}", *_numbers(playlist)]
    entries = list(playlist.entries)
    lasts = sum(entry.duration_ms for entry in entries)
    skipped = _skippable(entries, lasts, target_ms) if skip else 0
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    before = entries[skipped - 1] if skipped else None
    lines += _segments(entries[skipped:], fresh=live.fresh, parts_from_ms=PARTS_WITHIN * target_ms, before=before)
    if playlist.ended:
        return "\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n"
    lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{part_uri(live.following)}"')
    lines += [
        f'#EXT-X-RENDITION-REPORT:URI="{report.uri}",LAST-MSN={report.msn},LAST-PART={report.part}' for report in live.reports
    ]
    return "\n".join(lines) + "\n"


def _head(playlist: Playlist) -> list[str]:
    return ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", f"#EXT-X-TARGETDURATION:{playlist.target}"]


def _numbers(playlist: Playlist) -> list[str]:
    first = playlist.entries[0].discontinuity if playlist.entries else 0
    lines = [f"#EXT-X-MEDIA-SEQUENCE:{playlist.sequence}", f"#EXT-X-DISCONTINUITY-SEQUENCE:{first}"]
    return [*lines, "#EXT-X-INDEPENDENT-SEGMENTS"] if playlist.independent else lines


def _skippable(entries: Sequence[Entry], lasts: int, target_ms: int) -> int:
    """How many segments lie wholly before the skip boundary."""
    count = 0
    for entry in entries:
        lasts -= entry.duration_ms
        if lasts < SKIP_AFTER * target_ms or not entry.complete:
            break
        count += 1
    return count


def _segments(entries: Sequence[Entry], *, fresh: int, parts_from_ms: int | None, before: Entry | None = None) -> list[str]:
    lines: list[str] = []
    left = sum(entry.duration_ms for entry in entries)
    number = before.discontinuity if before else entries[0].discontinuity if entries else 0
    # Whoever skipped the segment before knows its map; saying it again costs one line and spares asking.
    map_uri = ""
    for entry in entries:
        lines += ["#EXT-X-DISCONTINUITY"] * (entry.discontinuity - number)
        number = entry.discontinuity
        if entry.map_uri != map_uri:
            map_uri = entry.map_uri
            lines.append(f'#EXT-X-MAP:URI="{map_uri}"')
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{rfc3339(entry.date_ms)}")
        stale = entry.discontinuity < fresh
        if parts_from_ms is not None and left <= parts_from_ms:
            lines += _parts(entry, gap=stale)
        if entry.complete:
            lines += ["#EXT-X-GAP"] if entry.gap or stale else []
            lines += [f"#EXTINF:{_seconds(entry.duration_ms)},", entry.uri]
        left -= entry.duration_ms
    return lines


def _parts(entry: Entry, *, gap: bool) -> list[str]:
    lines = []
    for part in entry.parts:
        flags = ",INDEPENDENT=YES" if part.independent else ""
        flags += ",GAP=YES" if part.gap or gap else ""
        lines.append(f'#EXT-X-PART:DURATION={_seconds(part.duration_ms)},URI="{part.uri}"{flags}')
    return lines


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03}"


def parse(text: str) -> Playlist:
    """Read back what `render` wrote.

    Raises:
        ValueError: it was not written by this version's `render`.
    """
    seen: dict[str, str] = {}
    entries: list[Entry] = []
    breaks = 0
    try:
        for line in text.splitlines():
            tag, _, value = line.partition(":")
            if line.startswith("#"):
                seen[tag] = value
                breaks += tag == "#EXT-X-DISCONTINUITY"
            elif line:
                entries.append(_entry(line, breaks, seen))
                seen.pop("#EXT-X-GAP", None)
        playlist = Playlist(int(seen["#EXT-X-TARGETDURATION"]), int(seen["#EXT-X-MEDIA-SEQUENCE"]))
    except KeyError as error:
        msg = f"no {error}"
        raise ValueError(msg) from error
    playlist.entries.extend(entries)
    playlist.independent = "#EXT-X-INDEPENDENT-SEGMENTS" in seen
    playlist.ended = "#EXT-X-ENDLIST" in seen
    return playlist


def _entry(uri: str, breaks: int, seen: Mapping[str, str]) -> Entry:
    """One segment from the tags before it. Names only: nothing read here may ever delete a file elsewhere."""
    map_uri = seen["#EXT-X-MAP"].removeprefix('URI="').removesuffix('"')
    return Entry(
        uri=PurePosixPath(uri).name,
        duration_ms=round(float(seen["#EXTINF"].rstrip(",")) * 1000),
        date_ms=parse_rfc3339(seen["#EXT-X-PROGRAM-DATE-TIME"]),
        discontinuity=int(seen["#EXT-X-DISCONTINUITY-SEQUENCE"]) + breaks,
        map_uri=PurePosixPath(map_uri).name,
        gap="#EXT-X-GAP" in seen,
    )
