"""The muxer: whatever an encoder sends, each sample is in exactly one part, and clocks and parts add up."""

from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mp4boxes import ReadSample, child, samples
from workers.media.cmaf.edges import LONGEST_MS, Marks, Pace, RungEdges, SourceEdges
from workers.media.cmaf.setup import PICTURES, SOUNDS, Setup
from workers.media.cmaf.writer import Part, Writer
from workers.media.flv import AUDIO, VIDEO, Tag

#: x264's set-up of 320x180, High profile.
AVC = bytes.fromhex("0164000dffe1001a6764000dacd941419f9f0110000003001000000303c0f142996001000668ebe3cb22c0fdf8f800")
AAC = bytes.fromhex("1190")
SAMPLES = 1024
RATE = 48_000
SETUP = Setup.read(AVC, AAC)


def picture(at: int, *, key: bool = False, shift: int = 0, body: bytes = b"") -> Tag:
    """A picture whose bytes tell which it is."""
    head = bytes((0x17 if key else 0x27, 1)) + shift.to_bytes(3, "big", signed=True)
    return Tag(VIDEO, at, head + (body or f"picture {at}".encode()))


def sound(at: int) -> Tag:
    """A frame of sound whose bytes tell which it is."""
    return Tag(AUDIO, at, b"\xaf\1" + f"sound {at}".encode())


def broadcast(
    seconds: float, *, fps: float = 30, group: int = 30, start: int = 0, shift: int = 0, sounds: bool = True
) -> list[Tag]:
    """What an encoder sends, in its order."""
    count = round(seconds * fps)
    tags = [picture(start + round(each * 1000 / fps), key=each % group == 0, shift=shift) for each in range(count)]
    tags += [sound(start + round(each * SAMPLES * 1000 / RATE)) for each in range(int(seconds * RATE / SAMPLES))]
    return sorted(tags, key=lambda tag: (tag.timestamp, -tag.type))


def source(setup: Setup = SETUP, *, marks: Marks | None = None, pace: Pace | None = None, longest: int = LONGEST_MS) -> Writer:
    """The passthrough's writer."""
    pictured = setup.picture is not None
    return Writer(setup, SourceEdges(marks or Marks(), pace or Pace(200), lambda: longest, pictured=pictured))


def written(writer: Writer, tags: list[Tag]) -> list[Part]:
    """All parts of a run."""
    return [part for tag in tags for part in writer.take(tag)] + writer.flush()


def track(parts: list[Part], number: int) -> list[ReadSample]:
    """The samples of one track over all parts."""
    return [sample for part in parts for sample in samples(part.data).get(number, [])]


def assert_continuous(found: list[ReadSample]) -> None:
    """Each sample begins where the one before it ends."""
    assert [(one, two) for one, two in pairwise(found) if one.decode + one.duration != two.decode] == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 120), min_size=1, max_size=150),
    st.lists(st.booleans(), min_size=150, max_size=150),
    st.lists(st.integers(-20, 80), min_size=150, max_size=150),
    st.integers(0, 2**32),
)
def test_every_picture_is_in_exactly_one_part(gaps: list[int], keys: list[bool], shifts: list[int], start: int) -> None:
    """In order, with its own bytes and times, and the parts' durations are those of their pictures."""
    at, tags = start, []
    for index, gap in enumerate(gaps):
        tags.append(picture(at, key=keys[index] or index == 0, shift=shifts[index]))
        at += gap
    parts = written(source(Setup.read(AVC, None)), tags)
    found = track(parts, PICTURES)
    assert [sample.data for sample in found] == [tag.payload[5:] for tag in tags]
    assert [sample.decode for sample in found] == [tag.timestamp for tag in tags]
    assert [sample.decode + sample.shift for sample in found] == [tag.presented for tag in tags]
    assert [sample.sync for sample in found] == [tag.is_keyframe for tag in tags]
    assert_continuous(found)
    for part in parts:
        inside = samples(part.data)[PICTURES]
        assert sum(sample.duration for sample in inside) == part.duration_ms
        assert part.independent == inside[0].sync
        assert part.pictures == len(inside)
    for _, of_one in groupby(parts, key=lambda part: part.segment):
        segment = list(of_one)
        assert [part.opens for part in segment] == [True] + [False] * (len(segment) - 1)
        assert [part.closes for part in segment] == [False] * (len(segment) - 1) + [True]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([24, 25, 29.97, 30, 50, 59.94, 60]), st.sampled_from([1, 2, 3]), st.integers(0, 10**9))
def test_parts_are_whole_pictures_and_never_above_the_target(fps: float, seconds: int, start: int) -> None:
    """Once the target is announced no part is longer; all but a segment's last are at least 85 % of it."""
    pace, group = Pace(200), round(fps) * seconds
    writer, tags = source(pace=pace, longest=seconds * 1000 + 499), broadcast(12, fps=fps, group=group, start=start)
    half = len(tags) // 3
    before = [part for tag in tags[:half] for part in writer.take(tag)]
    target = pace.settle()
    assert target == pytest.approx(200, abs=21)
    after = [part for tag in tags[half:] for part in writer.take(tag)]
    for part in [*before, *after]:
        assert part.duration_ms <= target
        assert part.closes or part.duration_ms >= 0.85 * target
    assert all(part.independent for part in [*before, *after] if part.opens)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 150), min_size=20, max_size=150))
def test_a_picture_that_comes_late_makes_no_part_too_long(gaps: list[int]) -> None:
    """Whatever the encoder's pace becomes, a part is above the announced target only where one picture alone is."""
    writer, at, parts = source(Setup.read(AVC, None), pace=Pace(200, 200)), 0, list[Part]()
    for index, gap in enumerate(gaps):
        parts += writer.take(picture(at, key=index % 30 == 0))
        at += gap
    assert all(part.duration_ms <= 200 or part.pictures == 1 for part in parts)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 3))
def test_sound_runs_on_without_a_hole(start: int, late: int) -> None:
    """Each frame once, 1024 samples after the one before it, whatever milliseconds FLV rounded it to."""
    tags = broadcast(5, start=start)
    # An encoder may send its sound a little after the pictures it belongs to.
    shifted = sorted(tags, key=lambda tag: tag.timestamp + (40 * late if tag.type == AUDIO else 0))
    parts = written(source(), shifted)
    found = track(parts, SOUNDS)
    assert [sample.data for sample in found] == [tag.payload[2:] for tag in tags if tag.type == AUDIO]
    assert_continuous(found)
    assert {sample.duration for sample in found} == {SAMPLES}
    assert found[0].decode == pytest.approx(start * RATE / 1000, abs=RATE / 1000)


def test_sound_that_pauses_keeps_step_with_the_pictures() -> None:
    """After two seconds of push-to-talk silence the next frame is where its time says."""
    tags = [tag for tag in broadcast(6) if tag.type == VIDEO or not 2000 <= tag.timestamp < 4000]
    found = track(written(source(), tags), SOUNDS)
    again = next(sample for sample in found if sample.data >= b"sound 4" and sample.decode > 3 * RATE)
    assert again.decode * 1000 / RATE == pytest.approx(4000, abs=22)
    assert [sample.data for sample in found] == [tag.payload[2:] for tag in tags if tag.type == AUDIO]


def test_sound_alone() -> None:
    """Parts and segments of sound: every part can be decoded by itself, and a segment is about a second."""
    setup = Setup.read(None, AAC)
    tags = [tag for tag in broadcast(10) if tag.type == AUDIO]
    parts = written(source(setup), tags)
    assert [sample.data for sample in track(parts, SOUNDS)] == [tag.payload[2:] for tag in tags]
    assert all(part.independent for part in parts)
    assert {part.duration_ms for part in parts[:-1]} <= {191, 192, 193}
    segments = [sum(part.duration_ms for part in each) for _, each in groupby(parts, key=lambda part: part.segment)]
    assert segments[:-1] == [pytest.approx(960, abs=2)] * (len(segments) - 1)


def test_segments_begin_at_keyframes() -> None:
    """A group of two seconds is one segment; groups of a third make one of a second."""
    for group, expected in ((60, 2000), (10, 1000)):
        parts = written(source(), broadcast(8, group=group))
        lasts = [sum(part.duration_ms for part in each) for _, each in groupby(parts, key=lambda part: part.segment)]
        assert lasts == [pytest.approx(expected, abs=1)] * (8000 // expected)
        assert all(part.independent for part in parts if part.opens)


def test_a_group_longer_than_announced_is_cut_without_a_keyframe() -> None:
    """No segment rounds to more than the target duration, and the part that follows does not claim to be independent."""
    parts = written(source(longest=1499), broadcast(6, group=180))
    lasts = [sum(part.duration_ms for part in each) for _, each in groupby(parts, key=lambda part: part.segment)]
    assert max(lasts) <= 1499
    assert [part.independent for part in parts if part.opens] == [True] + [False] * (len(lasts) - 1)


def test_a_rendition_follows_the_marks_of_the_passthrough() -> None:
    """The same segments begin at the same moments, though its pictures are not reordered and come later."""
    marks, pace = Marks(), Pace(200)
    top = source(marks=marks, pace=pace)
    rung = Writer(SETUP, RungEdges(marks, pace))
    tags = broadcast(6, shift=66)
    parts, small = [], []
    for tag in tags:
        parts += top.take(tag)
        if tag.type == AUDIO:
            small += rung.take(tag)
        else:
            small += rung.take(picture(tag.presented, key=tag.is_keyframe))
    starts = {part.segment: part.start_ms for part in parts if part.opens}
    assert {part.segment: part.start_ms for part in small if part.opens} == starts
    assert len(starts) == 6
    assert {part.duration_ms for part in small} == {200}


def test_a_rendition_begins_with_a_segment() -> None:
    """Started in mid-stream, it waits for the picture that a segment of the passthrough begins with."""
    marks, pace = Marks(), Pace(200)
    top, rung = source(marks=marks, pace=pace), Writer(SETUP, RungEdges(marks, pace))
    small = []
    for tag in broadcast(4):
        top.take(tag)
        if tag.timestamp >= 1500:
            small += rung.take(tag if tag.type == AUDIO else picture(tag.timestamp, key=tag.is_keyframe))
    assert (small[0].segment, small[0].start_ms, small[0].opens) == (2, 2000, True)
    # Sound from before it belongs to segments that it does not have.
    assert samples(small[0].data)[SOUNDS][0].decode >= 2 * RATE - SAMPLES


def test_two_pictures_with_one_time() -> None:
    """An encoder's fault that stays a blemish: the second is a millisecond later, and shown when it was meant to be."""
    tags = [picture(0, key=True), picture(40), picture(40, body=b"twin"), picture(80)]
    found = track(written(source(Setup.read(AVC, None)), tags), PICTURES)
    assert [(sample.decode, sample.decode + sample.shift) for sample in found] == [(0, 0), (40, 40), (41, 40), (80, 80)]


def test_the_set_up_is_read() -> None:
    """Size after cropping, codecs as RFC 6381 has them, and both tracks in the initialisation segment."""
    assert SETUP.picture is not None
    assert (SETUP.picture.width, SETUP.picture.height) == (320, 180)
    assert SETUP.codecs == "avc1.64000d,mp4a.40.2"
    raw = SETUP.initialisation()
    assert AVC in raw
    assert child(raw, b"moov", b"mvhd")[12:16] == (1000).to_bytes(4, "big")


def test_renditions_of_open_groups_begin_at_their_keyframes() -> None:
    """Behind the keyframe come pictures that are shown before it; the rendition's segment begins with the keyframe itself."""
    marks, pace = Marks(), Pace(200)
    top, rung = source(Setup.read(AVC, None), marks=marks, pace=pace), Writer(Setup.read(AVC, None), RungEdges(marks, pace))
    # Shown in order of their numbers; the keyframe of a group is sent before the last two of the group before it.
    for place, number in enumerate([*range(28), 30, 28, 29, *range(31, 58), 60, 58, 59, *range(61, 90)]):
        top.take(picture(33 * place, key=number % 30 == 0, shift=33 * number + 66 - 33 * place))
    small = [part for number in range(90) for part in rung.take(picture(33 * number + 66, key=number % 30 == 0))]
    opening = [(part.segment, part.start_ms, part.independent) for part in small if part.opens]
    assert opening == [(0, 66, True), (1, 33 * 30 + 66, True), (2, 33 * 60 + 66, True)]


@given(st.binary(max_size=60), st.booleans())
def test_damaged_set_up_is_refused_by_name(data: bytes, picture_first: bool) -> None:  # noqa: FBT001 - what hypothesis draws
    """Whatever comes as set-up: it is read, or refused with a ValueError, never anything else."""
    try:
        Setup.read(data if picture_first else None, None if picture_first else data)
    except ValueError:
        return
