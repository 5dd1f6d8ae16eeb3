"""The set-up of HEVC and AV1 as encoders write it, and what is looked for in their pictures."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mp4boxes import child
from workers.media.cmaf import av1, hevc
from workers.media.cmaf.setup import Setup
from workers.media.flv import AV1, AVC, HEVC

#: x264's set-up of 320x180, High profile.
H264 = bytes.fromhex("0164000dffe1001a6764000dacd941419f9f0110000003001000000303c0f142996001000668ebe3cb22c0fdf8f800")
#: Set-up of x265 (1920x1080, 10 bits) and kvazaar (640x360), without x265's SEI.
HEVC_1080P10 = bytes.fromhex(
    "01022000000090000000000078f000fcfdfafa00000f03200001001840010c01ffff022000000300900000030000030078959409210001"
    "002d420101022000000300900000030000030078a003c0801107cad965654a4c2f016808000003000800000300f04022000100064401c0"
    "73c189"
)
#: x265's, of 1918x1080 in 4:2:2: a column of its chroma is cut off.
HEVC_CROPPED = bytes.fromhex(
    "0104080000009d080000000078f000fcfef8f800000f03200001001740010c01ffff0408000003009d0800000300007895940921000100"
    "2c4201010408000003009d08000003000078b003c0801107513965654a4c2f016808000003000800000300f04022000100064401c073c1"
    "89"
)
HEVC_360P = bytes.fromhex(
    "010160000000800000000000baf000fcfdf8f800001303200001001b40010c02ffff0160000003008000000300000300ba000004021024"
    "210001002b4201020160000003008000000300000300ba0000a0050201696c100864932ac0404000000300400000078222000100084401"
    "c062460a6480"
)


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
    "cropped": (HEVC, HEVC_CROPPED, "hvc1.4.10.L120.9D.8", (1918, 1080)),
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


RECORDED = [(AVC, H264), *((codec, record) for codec, record, _, _ in SET_UPS.values())]


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
