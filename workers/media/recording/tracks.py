"""What a recording's listing says: the segments of each rendition in the order in which they were shown, and where it breaks.

Order is (generation, msn): a generation is one encoder's connection to one owner, and generations follow each other in time.
Numbers of two owners may meet where one was paused before its last segments came home; dates tell then. What an older
generation shows from the moment on at which a newer one begins was never what viewers saw: it is left out.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from infra.objects.contract import ObjectStore
from workers.media.recording import names
from workers.media.recording.names import Segment
from workers.media.variants import SOURCE


class Kept(Struct, frozen=True):
    """One segment that is at home, and its *size* in bytes."""

    segment: Segment
    size: int


class Row(Struct, frozen=True):
    """One segment of the recording: of the passthrough; *breaks*: it does not continue the one before it."""

    kept: Kept
    breaks: bool


class Track(Struct):
    """One rendition: its segments in order, and the generations that have an initialisation segment."""

    name: str
    kept: list[Kept]
    inits: set[int]


async def tracks(home: ObjectStore, stream_id: str) -> dict[str, Track]:
    """All renditions of a recording, by name. Memory: some 250 bytes per segment, 3 MB for a rendition of three hours.

    Raises:
        infra.errors.Unavailable: the home does not answer.
    """
    found: dict[str, Track] = {}
    async for facts in home.list(names.recording(stream_id)):
        words = facts.name.split("/")
        if len(words) != 4:
            continue
        track = found.setdefault(words[2], Track(words[2], [], set()))
        generation, segment = names.generation(words[3]), names.segment(words[3])
        if generation is not None:
            track.inits.add(generation)
        elif segment is not None:
            track.kept.append(Kept(segment, facts.size))
    for track in found.values():
        track.kept = _ordered(each for each in track.kept if each.segment.generation in track.inits)
    return {name: track for name, track in found.items() if track.kept}


def _ordered(kept: Iterable[Kept]) -> list[Kept]:
    newest: dict[tuple[int, int], Kept] = {}
    for each in kept:
        place = each.segment.generation, each.segment.msn
        # One that was salvaged and one that was whole: the longer one has all of the other.
        if place not in newest or newest[place].segment.duration_ms < each.segment.duration_ms:
            newest[place] = each
    ordered: list[Kept] = []
    begins: dict[int, int] = {}
    for place in sorted(newest, reverse=True):
        each = newest[place]
        generation = each.segment.generation
        after = min((date for other, date in begins.items() if other > generation), default=None)
        if after is None or each.segment.date_ms < after:
            ordered.append(each)
            begins[generation] = each.segment.date_ms
    ordered.reverse()
    return ordered


def rows(found: dict[str, Track]) -> list[Row]:
    """The recording's segments: those of the passthrough."""
    rows: list[Row] = []
    for each in found[SOURCE].kept if SOURCE in found else ():
        before = rows[-1].kept.segment if rows else None
        here = each.segment
        continues = before is not None and (before.generation, before.msn + 1) == (here.generation, here.msn)
        rows.append(Row(each, breaks=before is not None and not continues))
    return rows


def alongside(track: Track, of: Sequence[Row]) -> list[Kept | None]:
    """What *track* has for each of the recording's segments."""
    there = {(each.segment.generation, each.segment.msn): each for each in track.kept}
    return [there.get((row.kept.segment.generation, row.kept.segment.msn)) for row in of]
