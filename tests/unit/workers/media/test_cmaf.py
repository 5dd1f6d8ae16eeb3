"""The muxer: whatever an encoder sends, each sample is in exactly one part, and clocks and parts add up."""

from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mp4boxes import ReadSample, child, samples
from workers.media.cmaf import av1, hevc
from workers.media.cmaf.edges import LONGEST_MS, Marks, Pace, RungEdges, SourceEdges
from workers.media.cmaf.setup import PICTURES, SOUNDS, Setup
from workers.media.cmaf.writer import Part, Writer
from workers.media.flv import AUDIO, AV1, HEVC, VIDEO, Tag
from workers.media.flv import AVC as H264

#: x264's set-up of 320x180, High profile.
AVC = bytes.fromhex("0164000dffe1001a6764000dacd941419f9f0110000003001000000303c0f142996001000668ebe3cb22c0fdf8f800")
#: Set-up of x265 (1920x1080, 10 bits) and kvazaar (640x360), without x265's SEI.
HEVC_1080P10 = bytes.fromhex(
    "01022000000090000000000078f000fcfdfafa00000f03200001001840010c01ffff022000000300900000030000030078959409210001"
    "002d420101022000000300900000030000030078a003c0801107cad965654a4c2f016808000003000800000300f04022000100064401c0"
    "73c189"
)
HEVC_360P = bytes.fromhex(
    "010160000000800000000000baf000fcfdf8f800001303200001001b40010c02ffff0160000003008000000300000300ba000004021024"
    "210001002b4201020160000003008000000300000300ba0000a0050201696c100864932ac0404000000300400000078222000100084401"
    "c062460a6480"
)
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


def bits(*fields: tuple[int, int]) -> bytes:
    """(value, how many bits) after each other, filled up to whole bytes."""
    text = "".join(f"{value:0{count}b}" for value, count in fields)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")


#: A sequence header with two operating points, a decoder model, a display delay: 4096x2304.
LONG_HEADER = bits(
    *((0, 3), (0, 1), (0, 1)),
    *((1, 1), (1, 32), (60, 32), (1, 1), (0b00101, 5), (1, 1), (9, 5), (1, 32), (9, 5), (9, 5)),
    *((1, 1), (1, 5)),
    *((0, 12), (13, 5), (1, 1), (1, 1), (5, 10), (5, 10), (1, 1), (1, 1), (7, 4)),
    *((1, 12), (5, 5), (0, 1), (0, 1)),
    *((11, 4), (11, 4), (4095, 12), (2303, 12)),
)

SET_UPS = {
    "x265": (HEVC, HEVC_1080P10, "hvc1.2.4.L120.90", (1920, 1080)),
    "kvazaar": (HEVC, HEVC_360P, "hvc1.1.6.L186.80", (640, 360)),
    "high tier": (HEVC, HEVC_360P[:1] + b"\x61" + HEVC_360P[2:], "hvc1.A1.6.H186.80", (640, 360)),
    "no constraints": (HEVC, HEVC_360P[:6] + bytes(6) + HEVC_360P[12:], "hvc1.1.6.L186", (640, 360)),
    "libaom": (AV1, bytes.fromhex("81050c000a0b0000002d4cffb3cdaf9004"), "av01.0.05M.08", (1280, 720)),
    "SVT-AV1": (AV1, bytes.fromhex("81084c000a0c02000042955dfe1b805f0808"), "av01.0.08M.10", (1920, 1080)),
    "rav1e": (AV1, bytes.fromhex("811f0c000a0e000000fa627fb38842a204040428"), "av01.0.31M.08", (640, 360)),
    "twelve bits": (AV1, b"\x81\x4d\xec\0\x0a" + bytes((len(LONG_HEADER),)) + LONG_HEADER, "av01.2.13H.12", (4096, 2304)),
}


@pytest.mark.parametrize(("codec", "record", "name", "size"), SET_UPS.values(), ids=list(SET_UPS))
def test_the_set_up_of_hevc_and_av1_is_read(codec: int, record: bytes, name: str, size: tuple[int, int]) -> None:
    """As encoders write it: size after cropping, codec as RFC 6381 has it, entry and box of the initialisation segment."""
    setup = Setup.read(record, None, codec)
    assert setup.picture is not None
    assert setup.codecs == name
    assert (setup.picture.width, setup.picture.height) == size
    entry, configures = {HEVC: (b"hvc1", b"hvcC"), AV1: (b"av01", b"av1C")}[codec]
    raw = setup.initialisation()
    boxes = child(raw, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    assert boxes[12:16] == entry
    assert boxes[40:44] == size[0].to_bytes(2, "big") + size[1].to_bytes(2, "big")
    stored = boxes[boxes.index(configures) + 4 :]
    assert len(stored) == len(record)
    # hvc1 has all parameter sets in its entry, and says so; x265 leaves the bit out.
    assert stored == (
        record
        if codec == AV1
        else record.replace(b"\x20\0\1", b"\xa0\0\1").replace(b"\x21\0\1", b"\xa1\0\1").replace(b"\x22\0\1", b"\xa2\0\1")
    )


@pytest.mark.parametrize(
    ("codec", "record", "said"),
    [
        (HEVC, HEVC_360P[:21] + b"\xfe" + HEVC_360P[22:], "four bytes"),
        (HEVC, HEVC_360P[:22] + b"\0", "no SPS"),
        (HEVC, HEVC_360P[:90], "cut short"),
        (HEVC, b"\2" + HEVC_360P[1:], "no HEVC"),
        (AV1, bytes.fromhex("81050c00"), "no sequence header"),
        (AV1, bytes.fromhex("01050c000a0b0000002d4cffb3cdaf9004"), "no AV1"),
        (AV1, bytes.fromhex("81050c000a030000002d"), "bits wanted"),
    ],
)
def test_what_is_wrong_with_a_set_up_is_said(codec: int, record: bytes, said: str) -> None:
    """It becomes part of what the broadcaster reads."""
    with pytest.raises(ValueError, match=said):
        Setup.read(record, None, codec)


RECORDED = [(H264, AVC), *((codec, record) for codec, record, _, _ in SET_UPS.values())]


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(RECORDED),
    st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=4), st.integers(0, 4)), max_size=5),
    st.one_of(st.none(), st.binary(max_size=80)),
)
def test_damaged_set_up_of_any_codec_is_refused_by_name(
    recorded: tuple[int, bytes], changes: list[tuple[int, bytes, int]], instead: bytes | None
) -> None:
    """Recorded set-up with bytes changed, cut out and put in, or rubbish behind its first byte: read, or a ValueError."""
    codec, record = recorded
    raw = bytearray(record if instead is None else record[:1] + instead)
    for at, put, cut in changes:
        raw[at : at + cut] = put
    try:
        setup = Setup.read(bytes(raw), None, codec)
    except ValueError:
        return
    assert setup.picture is not None
    assert 0 < setup.picture.width <= 16384
    assert setup.initialisation()


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_sample(data: bytes, flag: bool) -> None:  # noqa: FBT001 - what hypothesis draws
    """Looking for keyframes raises nothing, adds nothing, and is over after a few units."""
    hevc.is_random_access(data, flag)
    kept, _ = av1.sample(data, flag)
    rest = iter(data)
    assert all(byte in rest for byte in kept)
    assert av1.missing(b"1234", data) in data


def test_delimiters_go_and_the_rest_stays() -> None:
    """Each unit keeps its bytes; what has no size reaches to the end."""
    unit = b"\x12\0" + b"\x0a\1S" + b"\x7a\2PP" + b"\x16\x08\0" + b"\x30\x10frame without a size"
    assert av1.sample(unit, default=False) == (b"\x0a\1S" + b"\x30\x10frame without a size", True)


def test_a_sequence_header_is_found_in_a_keyframe() -> None:
    """Where the set-up has none."""
    bare, header = bytes.fromhex("811f0c00"), bytes.fromhex("0a0e000000fa627fb38842a204040428")
    assert av1.missing(bare, b"\x12\0" + header + b"\x32\1\x10") == header
    assert av1.missing(bare + header, b"\x12\0" + header) == b""
    assert av1.missing(bare, b"\x12\0\x32\1\x10") == b""


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
