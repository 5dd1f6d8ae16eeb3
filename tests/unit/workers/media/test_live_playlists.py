"""The low-latency text: parts, hints, reports, delta updates and gaps, and what a blocking reload waits for."""

import pytest

from tests.hls import rules
from workers.media.m3u8 import Live, Report, render, render_live
from workers.media.playlist import Entry, PartEntry, Playlist

NOON = 1_800_000_000_000
PART = 200


def made(segments: int, open_parts: int = 0, target: int = 1) -> Playlist:
    """So many whole segments of five parts, and one that has *open_parts* so far."""
    playlist = Playlist(target)
    for number in range(segments + (open_parts > 0)):
        count = 5 if number < segments else open_parts
        parts = [PartEntry(number * 5 + each, PART, independent=each == 0) for each in range(count)]
        entry = Entry(f"segment-1-{number}.m4s", count * PART, NOON + number * 1000, 0, "init-1.mp4", parts=parts)
        entry.complete = number < segments
        playlist.append(entry, independent=True)
    return playlist


def live(following: int, fresh: int = 0, *reports: Report) -> Live:
    """What surrounds the segments."""
    return Live(PART, following, fresh, reports)


def lines(playlist: Playlist, what: Live, tag: str, *, skip: bool = False) -> list[str]:
    """Every line that begins with *tag*."""
    return [line for line in render_live(playlist, what, skip=skip).splitlines() if line.startswith(tag)]


def test_the_live_text_of_a_playlist() -> None:
    """Everything a player needs, in the order of the document."""
    text = render_live(made(1, 2), live(7, 0, Report("../360p/index.m3u8", 1, 0)))
    assert text.splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        "#EXT-X-TARGETDURATION:1",
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.600,HOLD-BACK=3.000,CAN-SKIP-UNTIL=6.000",
        "#EXT-X-PART-INF:PART-TARGET=0.200",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-DISCONTINUITY-SEQUENCE:0",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init-1.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:00.000Z",
        '#EXT-X-PART:DURATION=0.200,URI="part-0.m4s",INDEPENDENT=YES',
        *(f'#EXT-X-PART:DURATION=0.200,URI="part-{number}.m4s"' for number in range(1, 5)),
        "#EXTINF:1.000,",
        "segment-1-0.m4s",
        "#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:01.000Z",
        '#EXT-X-PART:DURATION=0.200,URI="part-5.m4s",INDEPENDENT=YES',
        '#EXT-X-PART:DURATION=0.200,URI="part-6.m4s"',
        '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part-7.m4s"',
        '#EXT-X-RENDITION-REPORT:URI="../360p/index.m3u8",LAST-MSN=1,LAST-PART=0',
    ]


@pytest.mark.parametrize(("open_parts", "listed"), [(0, 15), (1, 11), (4, 14)])
def test_parts_are_listed_within_three_target_durations_of_the_end(open_parts: int, listed: int) -> None:
    """Older ones cost bytes in every reload and are of no use to anybody."""
    assert len(lines(made(9, open_parts), live(0), "#EXT-X-PART:")) == listed


def test_players_that_know_no_parts_read_the_same_segments() -> None:
    """The open segment is nothing to them: without the low-latency tags both texts are one playlist."""
    playlist = made(8, 3)
    raw = render_live(playlist, live(43)).splitlines()
    low = ("#EXT-X-PART", "#EXT-X-SERVER", "#EXT-X-PRELOAD", "#EXT-X-RENDITION")
    plain = [line for line in raw if not line.startswith(low)]
    # The date of the segment that is being made stands before its parts.
    assert plain[:-1] == render(playlist).splitlines()
    assert rules.check_media(render(playlist).encode()) == []


def test_a_delta_update_leaves_out_what_lies_before_the_skip_boundary() -> None:
    """Six target durations stay; with fewer than that everything does."""
    playlist = made(10, 1)
    assert lines(playlist, live(51), "#EXT-X-SKIP", skip=True) == ["#EXT-X-SKIP:SKIPPED-SEGMENTS=4"]
    text = render_live(playlist, live(51), skip=True)
    whole = render_live(playlist, live(51))
    assert text.count("#EXTINF") == 6
    assert whole.endswith(text.partition('"init-1.mp4"\n')[2])
    assert "#EXT-X-MEDIA-SEQUENCE:0" in text
    assert lines(made(5, 1), live(26), "#EXT-X-SKIP", skip=True) == []


def test_a_delta_update_keeps_its_discontinuities_apart() -> None:
    """One among the skipped is not told again; one after them is."""
    playlist = made(10)
    for number, entry in enumerate(playlist.entries):
        entry.discontinuity = (number >= 2) + (number >= 7)
    text = render_live(playlist, live(50), skip=True)
    assert text.count("#EXT-X-DISCONTINUITY\n") == 1
    assert text.index("#EXT-X-DISCONTINUITY\n") > text.index("segment-1-6.m4s")


def test_pictures_from_before_an_outage_are_gaps_to_whoever_joins() -> None:
    """Until the first part of what comes now there is nothing to play, and then only that."""
    playlist = made(4)
    assert len(lines(playlist, live(20, 1), "#EXT-X-GAP")) == 4
    assert all(line.endswith("GAP=YES") for line in lines(playlist, live(20, 1), "#EXT-X-PART:"))
    fresh = Entry("segment-2-4.m4s", PART, NOON + 9000, 1, "init-2.mp4", complete=False)
    fresh.parts = [PartEntry(20, PART, independent=True)]
    playlist.append(fresh, independent=True)
    text = render_live(playlist, live(21, 1))
    assert text.count("#EXT-X-GAP") == 4
    tail = text.partition("#EXT-X-DISCONTINUITY\n")[2]
    assert "GAP" not in tail
    assert tail.startswith('#EXT-X-MAP:URI="init-2.mp4"\n')


def test_the_end_leaves_nothing_to_wait_for() -> None:
    """No hint, no blocking reload, no report: the text is the last."""
    playlist = made(3)
    playlist.ended = True
    text = render_live(playlist, live(15, 0, Report("../360p/index.m3u8", 1, 0)))
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert "HINT" not in text
    assert "BLOCK" not in text
    assert "REPORT" not in text


@pytest.mark.parametrize(
    ("msn", "part", "there"),
    [
        (2, None, True),
        (3, None, False),
        (3, 1, True),
        (3, 2, False),
        (2, 4, True),
        (2, 99, True),
        (4, 0, False),
    ],
)
def test_what_a_blocking_reload_waits_for(msn: int, part: int | None, there: bool) -> None:  # noqa: FBT001 - a table
    """A whole segment, or a part of it; with three whole ones and two parts of the fourth."""
    assert made(3, 2).reaches(msn, part) is there


def test_a_part_beyond_a_whole_segment_is_the_first_of_the_next() -> None:
    """6.2.5.2: segment 3 is whole with five parts, so its sixth is the next segment's first."""
    assert not made(4).reaches(3, 5)
    assert made(4).reaches(3, 4)
    assert made(4, 1).reaches(3, 5)
