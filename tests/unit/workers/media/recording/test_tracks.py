"""A listing tells what was recorded, in the order in which it was shown, and nothing twice."""

from pathlib import Path

from infra.objects.folder import Folder
from tests.unit.workers.media.test_cmaf import SETUP, broadcast, source, written
from workers.media.recording import mp4, names, vod
from workers.media.recording.fragments import keyframe, pictures
from workers.media.recording.initial import initial
from workers.media.recording.names import Segment
from workers.media.recording.tracks import Kept, alongside, rows, tracks

STREAM = "018bcfe5-6800-7bb6-bc13-d949c5118ce2"
T = 1_700_000_000_000


def segment(msn: int, generation: int, at: int, lasts: int = 1000) -> Segment:
    """One that was shown *at* ms after the beginning."""
    return Segment(msn=msn, generation=generation, discontinuity=generation, date_ms=T + at, duration_ms=lasts)


async def kept(home: Folder, rendition: str, *segments: Segment, inits: tuple[int, ...] = (7, 9)) -> None:
    """Put them, in no order."""
    for generation in inits:
        await home.put(names.recording(STREAM, rendition, names.init(generation)), b"init")
    for each in reversed(segments):
        await home.put(names.recording(STREAM, rendition, each.name), b"x" * 1000)


def numbers(found: list[Kept]) -> list[tuple[int, int]]:
    """Generation and number of each."""
    return [(each.segment.generation, each.segment.msn) for each in found]


async def test_generations_follow_each_other(tmp_path: Path) -> None:
    """Numbers that two owners used alike are no trouble; what the older one had after the newer began is left out."""
    home = Folder(tmp_path)
    old = [segment(msn, 7, msn * 1000) for msn in range(5)]
    new = [segment(msn, 9, msn * 1000 + 500) for msn in range(3, 6)]
    await kept(home, "source", *old, *new)
    found = await tracks(home, STREAM)
    assert numbers(found["source"].kept) == [(7, 0), (7, 1), (7, 2), (7, 3), (9, 3), (9, 4), (9, 5)]
    assert [row.breaks for row in rows(found)] == [False, False, False, False, True, False, False]


async def test_what_cannot_be_played_is_left_out(tmp_path: Path) -> None:
    """Segments without their initialisation segment, half of one that is there whole, and files that are none."""
    home = Folder(tmp_path)
    await kept(home, "source", segment(0, 7, 0), segment(0, 7, 0, 400), segment(1, 8, 1000), inits=(7,))
    await home.put(names.recording(STREAM, "source", "index.m3u8"), b"")
    await home.put(names.recording(STREAM, "strip.jpg"), b"")
    found = await tracks(home, STREAM)
    assert [each.segment for each in found["source"].kept] == [segment(0, 7, 0)]
    assert await tracks(home, STREAM.replace("018b", "018c")) == {}


async def test_playlists_of_all_renditions_have_one_timeline(tmp_path: Path) -> None:
    """A hole in the passthrough is a discontinuity in all; one in another rendition is a gap there."""
    home = Folder(tmp_path)
    await kept(home, "source", segment(0, 7, 0), segment(1, 7, 1000, 1400), segment(3, 7, 9000), segment(4, 9, 12000))
    await kept(home, "360p", segment(0, 7, 0), segment(3, 7, 9000), segment(4, 9, 12000))
    found = await tracks(home, STREAM)
    made = rows(found)
    source_text = vod.playlist(made, alongside(found["source"], made)).decode()
    small = vod.playlist(made, alongside(found["360p"], made)).decode()
    assert source_text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:8",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-TARGETDURATION:1",
        "#EXT-X-MEDIA-SEQUENCE:0",
        '#EXT-X-MAP:URI="init-7.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z",
        "#EXTINF:1.000,",
        "0000000000-7-7-1700000000000-1000.m4s",
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:21.000Z",
        "#EXTINF:1.400,",
        "0000000001-7-7-1700000001000-1400.m4s",
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:29.000Z",
        "#EXTINF:1.000,",
        "0000000003-7-7-1700000009000-1000.m4s",
        "#EXT-X-DISCONTINUITY",
        '#EXT-X-MAP:URI="init-9.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:32.000Z",
        "#EXTINF:1.000,",
        "0000000004-9-9-1700000012000-1000.m4s",
        "#EXT-X-ENDLIST",
    ]
    assert small.count("#EXT-X-DISCONTINUITY") == 2
    assert "#EXT-X-GAP\n#EXTINF:1.400," in small
    assert [line for line in small.splitlines() if line.startswith("#EXTINF")] == [
        line for line in source_text.splitlines() if line.startswith("#EXTINF")
    ]


async def test_the_mp4_is_of_what_has_one_format(tmp_path: Path) -> None:
    """The best rendition that has everything under one set-up; none where the encoder came back with another one everywhere."""
    home = Folder(tmp_path)
    both = segment(0, 7, 0), segment(1, 9, 5000)
    await kept(home, "source", *both)
    await kept(home, "360p", *both)
    found = await tracks(home, STREAM)
    there = {name: alongside(found[name], rows(found)) for name in ("source", "360p")}
    inits = {("source", 7): b"a", ("source", 9): b"a", ("360p", 7): b"b", ("360p", 9): b"b"}
    assert mp4.best(there, inits) == "source"
    assert mp4.best(there, inits | {("source", 9): b"other"}) == "360p"
    assert mp4.best(there, inits | {("source", 9): b"other", ("360p", 9): b"other"}) is None
    assert mp4.best(there | {"360p": [there["360p"][0], None]}, inits | {("source", 9): b"other"}) is None


def test_initialisation_segments_and_parts_read_back() -> None:
    """Codecs, size and clocks are those that were written; a keyframe is taken out whole, and anything else is none."""
    read = initial(SETUP.initialisation())
    assert (read.codecs, read.width, read.height) == (SETUP.codecs.split(","), 320, 180)
    assert read.scales == {1: 1000, 2: 48000}
    parts = written(source(), broadcast(2))
    whole = b"".join(part.data for part in parts if part.segment == 0)
    assert pictures(whole) == 30
    taken = keyframe(whole[: len(parts[0].data)], 3)
    assert taken is not None
    assert b"picture 0" in taken
    assert b"picture 33" not in taken
    assert keyframe(parts[1].data, 0) is None
    assert keyframe(whole[:50], 0) is None
