"""The playlists of a finished recording (RFC 8216, 4.3.3.5): a pure function of its listing and its initialisation segments."""

from collections.abc import Mapping, Sequence

from schemas.times import rfc3339
from workers.media import master
from workers.media.master import Variant
from workers.media.recording import names
from workers.media.recording.initial import Initial
from workers.media.recording.tracks import Kept, Row

#: EXT-X-GAP needs 8 (RFC 8216bis, section 8).
VERSION = 8
#: A rendition that lacks more of the recording is not listed: a player that began with it would find little.
MOST_GAPS = 0.5


def target(rows: Sequence[Row]) -> int:
    """The target duration: no segment, rounded, is longer."""
    return max((row.kept.segment.duration_ms + 500) // 1000 for row in rows) or 1


def playlist(rows: Sequence[Row], there: Sequence[Kept | None]) -> bytes:
    """One rendition's playlist. Where it has nothing of a segment it says so (EXT-X-GAP), so that all have one timeline."""
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}", "#EXT-X-PLAYLIST-TYPE:VOD", f"#EXT-X-TARGETDURATION:{target(rows)}"]
    lines.append("#EXT-X-MEDIA-SEQUENCE:0")
    described = None
    for row, kept in zip(rows, there, strict=True):
        if row.breaks:
            lines.append("#EXT-X-DISCONTINUITY")
        segment = (kept or row.kept).segment
        if kept is not None and segment.generation != described:
            described = segment.generation
            lines.append(f'#EXT-X-MAP:URI="{names.init(described)}"')
        lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{rfc3339(segment.date_ms)}")
        if kept is None:
            lines.append("#EXT-X-GAP")
        lines += [f"#EXTINF:{segment.duration_ms / 1000:.3f},", segment.name]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


def variant(name: str, there: Sequence[Kept | None], inits: Mapping[int, Initial], frame_rate: float) -> Variant | None:
    """What the multivariant playlist says of one rendition, measured; `None` where too much of it is missing."""
    kept = [each for each in there if each is not None]
    lasts_ms = sum(each.segment.duration_ms for each in kept)
    if len(kept) < len(there) * (1 - MOST_GAPS) or not lasts_ms:
        return None
    used = [inits[generation] for generation in dict.fromkeys(each.segment.generation for each in kept)]
    bits = sum(each.size for each in kept) * 8.0
    # The peak counts over stretches of at least half a target duration (4.3.4.2).
    longest = max(each.segment.duration_ms for each in kept)
    long = [each for each in kept if each.segment.duration_ms * 2 >= longest]
    return Variant(
        name=name,
        codecs=",".join(dict.fromkeys(codec for each in used for codec in each.codecs)),
        width=max(each.width for each in used),
        height=max(each.height for each in used),
        frame_rate=frame_rate,
        bandwidth=round(max(each.size * 8000 / each.segment.duration_ms for each in long)),
        bits=bits,
        seconds=lasts_ms / 1000,
    )


def multivariant(variants: Sequence[Variant]) -> bytes:
    """The text of the multivariant playlist."""
    return master.render(variants).encode()
