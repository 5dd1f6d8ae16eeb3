"""The playlists we write, and the checker that reads them: each of its rules is shown to catch something."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hls import multivariant, rules
from workers.media import master
from workers.media.cmaf.aac import Sound
from workers.media.cmaf.picture import Picture
from workers.media.cmaf.setup import Setup
from workers.media.m3u8 import parse, render
from workers.media.playlist import WINDOW, Entry, Playlist

NOON = 1_800_000_000_000
STALE = 30_000


def entry(number: int, *, seconds: float = 1.0, date: int | None = None, discontinuity: int = 0) -> Entry:
    """The segment with that number, one a second."""
    begins = NOON + number * 1000 if date is None else date
    return Entry(f"1-{number}.m4s", round(seconds * 1000), begins, discontinuity, f"{discontinuity}-init.mp4")


def playlist(count: int, target: int = 1) -> Playlist:
    """One with *count* segments."""
    made = Playlist(target)
    for number in range(count):
        made.append(entry(number), independent=True)
    return made


def good() -> bytes:
    """Twelve segments over two generations, the first two dropped."""
    made = playlist(6)
    for number in range(6, 12):
        made.append(entry(number, discontinuity=1), independent=True)
    assert [gone.uri for gone in made.trim(STALE)] == ["1-0.m4s", "1-1.m4s"]
    return render(made).encode()


def test_a_good_playlist_is_called_good() -> None:
    """The checker finds nothing, so that what it finds elsewhere means something."""
    assert rules.check_media(good()) == []
    assert rules.check_update(good(), good()) == []


@pytest.mark.parametrize(
    ("rule", "breaks"),
    [
        ("text", lambda raw: raw.replace(b"#EXTM3U\n", b"")),
        ("text", lambda raw: b"\xef\xbb\xbf" + raw),
        ("kind", lambda raw: raw + b"#EXT-X-STREAM-INF:BANDWIDTH=1\nx\n"),
        ("attributes", lambda raw: raw.replace(b'URI="0-init.mp4"', b'URI="0-init.mp4" URI="x"')),
        ("version", lambda raw: raw.replace(b"VERSION:9", b"VERSION:3")),
        ("target", lambda raw: raw.replace(b"#EXT-X-TARGETDURATION:1\n", b"")),
        ("extinf", lambda raw: raw.replace(b"#EXTINF:1.000,\n1-4", b"1-4")),
        ("duration", lambda raw: raw.replace(b"#EXTINF:1.000,\n1-4", b"#EXTINF:1.500,\n1-4")),
        ("sequence", lambda raw: raw + b"#EXT-X-MEDIA-SEQUENCE:2\n"),
        ("map", lambda raw: raw.replace(b'#EXT-X-MAP:URI="0-init.mp4"\n', b"")),
        ("discontinuity", lambda raw: raw.replace(b"#EXT-X-DISCONTINUITY\n", b"")),
        ("date", lambda raw: raw.replace(b".000Z", b"", 1)),
        ("clock", lambda raw: raw.replace(b":05.000Z", b":05.100Z")),
        ("unique", lambda raw: raw.replace(b"1-5.m4s", b"1-4.m4s")),
        ("window", lambda raw: raw[: raw.index(b"1-3.m4s") + 8]),
        ("endlist", lambda raw: raw + b"#EXT-X-ENDLIST\n#EXT-X-ENDLIST\n"),
    ],
)
def test_broken_playlists_are_caught(rule: str, breaks: Callable[[bytes], bytes]) -> None:
    """Each deliberately broken playlist is caught by the rule it breaks."""
    broken = breaks(good())
    assert broken != good()
    assert rule in rules.RULES
    assert any(found.startswith(f"{rule}:") for found in rules.check_media(broken))


@pytest.mark.parametrize(
    ("rule", "breaks"),
    [
        ("target", lambda raw: raw.replace(b"TARGETDURATION:1", b"TARGETDURATION:2")),
        ("front", lambda raw: raw.replace(b"MEDIA-SEQUENCE:2", b"MEDIA-SEQUENCE:1")),
        ("steady", lambda raw: raw.replace(b"MEDIA-SEQUENCE:2", b"MEDIA-SEQUENCE:3")),
        ("steady", lambda raw: raw.replace(b"DISCONTINUITY-SEQUENCE:0", b"DISCONTINUITY-SEQUENCE:1")),
        ("front", lambda raw: raw[: raw.index(b"1-9.m4s") + 8]),
    ],
)
def test_broken_updates_are_caught(rule: str, breaks: Callable[[bytes], bytes]) -> None:
    """What may not change between two readings of one playlist."""
    found = rules.check_update(good(), breaks(good()))
    assert any(each.startswith(f"{rule}:") for each in found)
    assert rules.check_update(good() + b"#EXT-X-ENDLIST\n", good()) != []


def test_variants_that_disagree_are_caught() -> None:
    """One target duration, and one discontinuity number for the same moment."""
    other = good().replace(b"DISCONTINUITY-SEQUENCE:0", b"DISCONTINUITY-SEQUENCE:4")
    assert rules.check_variants([good(), good()]) == []
    assert rules.check_variants([good(), other]) != []
    assert rules.check_variants([good(), good().replace(b"TARGETDURATION:1", b"TARGETDURATION:2")]) != []


@given(
    st.lists(st.tuples(st.floats(0.1, 1.49), st.integers(0, 9), st.integers(0, 40_000)), min_size=1, max_size=60),
    st.integers(1, 3),
)
def test_whatever_is_appended_the_rules_hold(given_segments: list[tuple[float, int, int]], target: int) -> None:
    """Short and long segments, generations, outages: every state and every step keeps the rules, and reads back the same."""
    made = Playlist(target)
    date, discontinuity, readings = NOON, 0, []
    for number, (seconds, chance, outage) in enumerate(given_segments):
        if chance == 0 and number:
            discontinuity += 1
            date += outage
        lasts = round(seconds, 3)
        made.append(entry(number, seconds=lasts, date=date, discontinuity=discontinuity), independent=chance != 1)
        date += round(lasts * 1000)
        list(made.trim(STALE))
        readings.append(render(made).encode())

    for raw in readings:
        assert rules.check_media(raw) == []
    for older, newer in pairwise(readings):
        assert rules.check_update(older, newer) == []
    again = parse(readings[-1].decode())
    assert render(again).encode() == readings[-1]
    assert (again.sequence, list(again.entries)) == (made.sequence, list(made.entries))


def test_the_window_is_ten_segments() -> None:
    """What left it is handed back, so that its file can be deleted."""
    made = playlist(WINDOW + 3)
    assert [gone.uri for gone in made.trim(STALE)] == ["1-0.m4s", "1-1.m4s", "1-2.m4s"]
    assert len(made.entries) == WINDOW


def test_pictures_from_before_an_outage_leave_once_there_are_new_ones() -> None:
    """But never before three target durations of new ones are there."""
    made = playlist(5)
    for number in range(5, 8):
        made.append(entry(number, date=NOON + 100_000 + number * 1000, discontinuity=1), independent=True)
        left = [gone.uri for gone in made.trim(STALE)]
        assert sum(each.duration_ms for each in made.entries) >= 3000
    assert left == ["1-4.m4s"]
    assert made.sequence == 5


def test_a_segment_without_keyframe_takes_the_promise_back_for_good() -> None:
    """EXT-X-INDEPENDENT-SEGMENTS is about all segments, so it does not come back when that one has left."""
    made = playlist(2)
    assert "INDEPENDENT" in render(made)
    made.append(entry(2), independent=False)
    made.append(entry(3), independent=True)
    assert "INDEPENDENT" not in render(made)
    assert not parse(render(made)).independent


@pytest.mark.parametrize("text", ["", "#EXTM3U\n", "#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:0\na.m4s\n"])
def test_what_we_did_not_write_is_not_read_back(text: str) -> None:
    """A damaged playlist is told by an error and not taken for an empty one."""
    with pytest.raises(ValueError, match="no "):
        parse(text)


def test_a_playlist_names_files_of_its_own_folder_only() -> None:
    """Whatever stands in the file, deleting what it lists never leaves the folder."""
    text = render(playlist(1)).replace("1-0.m4s", "../../../etc/passwd").replace("0-init.mp4", "/etc/hosts")
    read = parse(text).entries[0]
    assert (read.uri, read.map_uri) == ("passwd", "hosts")


BOTH = Setup(Picture(b"", "avc1.42c01e", 1280, 720), Sound(b"", "mp4a.40.2", 48_000, 2, 1024))


def test_the_master_playlist() -> None:
    """Codecs, resolution, frame rate, and a bandwidth that is raised by a higher peak but not by a short piece at the end."""
    made = master.variant("source", BOTH)
    assert made.measure(100_000, 1.0, 30, 1)
    assert not made.measure(90_000, 1.0, 30, 1)
    assert not made.measure(90_000, 0.2, 6, 1)
    low = made.bandwidth
    assert made.measure(200_000, 1.0, 30, 1)
    assert made.bandwidth > 1_600_000 > low > 800_000
    raw = master.render([made]).encode()
    assert multivariant.check(raw) == []
    assert b'CODECS="avc1.42c01e,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=30.000\nsource/index.m3u8' in raw
    assert made.quality == "720p"


@pytest.mark.parametrize(
    ("rule", "breaks"),
    [
        ("stream-inf", lambda raw: raw.replace(b"BANDWIDTH=880000,", b"", 1)),
        ("stream-inf", lambda raw: raw.replace(b",RESOLUTION=1280x720", b"")),
        ("stream-inf", lambda raw: raw.replace(b"source/index.m3u8\n", b"")),
        ("bandwidth", lambda raw: raw.replace(b"AVERAGE-BANDWIDTH=800000", b"AVERAGE-BANDWIDTH=900000")),
        ("kind", lambda raw: raw + b"#EXTINF:1.000,\nx.m4s\n"),
        ("attributes", lambda raw: raw.replace(b",RESOLUTION", b",RESOLUTION=1x1,RESOLUTION")),
    ],
)
def test_broken_master_playlists_are_caught(rule: str, breaks: Callable[[bytes], bytes]) -> None:
    """Each by the rule it breaks."""
    made = master.variant("source", BOTH)
    made.measure(100_000, 1.0, 30, 1)
    raw = master.render([made]).encode()
    assert multivariant.check(raw) == []
    assert any(each.startswith(f"{rule}:") for each in multivariant.check(breaks(raw)))


def test_an_announced_bandwidth_that_is_too_low_is_caught() -> None:
    """The checker measures the segments."""
    raw = b'#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-STREAM-INF:BANDWIDTH=8000,CODECS="mp4a.40.2"\nx\n'
    sizes = dict.fromkeys((f"1-{number}.m4s" for number in range(20)), 1000)
    assert multivariant.check_rates(raw, "x", good(), sizes) == []
    assert multivariant.check_rates(raw, "x", good(), sizes | {"1-5.m4s": 1001}) != []
