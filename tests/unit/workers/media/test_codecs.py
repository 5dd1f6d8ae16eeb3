"""Codecs by name, and enhanced RTMP."""

import pytest

from tests.dialogues import AAC_HEADER, AVC_HEADER, keyframe, picture, sound
from workers.media.flv import AUDIO, AV1, AVC, HEVC, VIDEO, Tag, Unsupported, enhanced
from workers.media.rtmp.codecs import plain


def video(payload: bytes) -> Tag:
    """A message of pictures."""
    return Tag(VIDEO, 40, payload)


def audio(payload: bytes) -> Tag:
    """A message of sound."""
    return Tag(AUDIO, 40, payload)


def nal(kind: int, body: bytes = b"") -> bytes:
    """A NAL unit of HEVC behind its length."""
    return (len(body) + 2).to_bytes(4, "big") + bytes((kind << 1, 1)) + body


def obu(kind: int, body: bytes = b"") -> bytes:
    """An open bitstream unit of AV1, with its size."""
    return bytes((kind << 3 | 2, len(body))) + body


@pytest.mark.parametrize(
    "tag", [video(AVC_HEADER), video(keyframe(50)), video(picture(50)), audio(AAC_HEADER), audio(sound(9)), Tag(18, 0, b"m")]
)
def test_what_is_taken_passes_as_it_is(tag: Tag) -> None:
    """H.264, AAC and metadata."""
    assert tag is plain(tag)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (video(b"\x90avc1" + AVC_HEADER[5:]), video(AVC_HEADER)),
        (video(b"\x91avc1\x00\x00\x42NAL"), video(b"\x17\x01\x00\x00\x42NAL")),
        (video(b"\xa1avc1\xff\xff\xfeNAL"), video(b"\x27\x01\xff\xff\xfeNAL")),
        (video(b"\xa3avc1NAL"), video(b"\x27\x01\x00\x00\x00NAL")),
        (video(b"\xa7\x02\x00\x00\x01\x03avc1NAL"), video(b"\x27\x01\x00\x00\x00NAL")),
        (video(b"\x97\xff\x00\x02\x00\x00\x01\x03avc1NAL"), video(b"\x17\x01\x00\x00\x00NAL")),
        (audio(b"\x90mp4a\x11\x90"), audio(AAC_HEADER)),
        (audio(b"\x91mp4afff"), audio(b"\xaf\x01fff")),
    ],
    ids=["set-up", "keyframe", "shown-earlier", "no-shift", "nanoseconds", "long-modifier", "sound-set-up", "sound"],
)
def test_h264_and_aac_by_four_characters_are_the_same_bytes(said: Tag, expected: Tag) -> None:
    """Set-up, pictures with and without composition time, and sound become FLV's own tags."""
    assert expected == plain(said)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (video(b"\x90vvc1cfg"), "VVC"),
        (video(b"\x94vp08colour"), "VP8"),
        (video(b"\x90vp09cfg"), "VP9"),
        (video(b"\x96\x00hvc1cfg"), "one video track"),
        (video(b"\x97\x00\x00\x06\x10av01cfg"), "one video track"),
        (video(b"\x90!?\x00\xffcfg"), "!?"),
        (video(b"\x12aaaaaa"), "H.263"),
        (video(b"\x96\x00avc1cfg"), "one video track"),
        (audio(b"\x90Opuscfg"), "Opus"),
        (audio(b"\x90ac-3cfg"), "AC-3"),
        (audio(b"\x95\x00mp4acfg"), "one audio track"),
        (audio(b"\x2fmp3"), "MP3"),
        (audio(b"\xb2spx"), "Speex"),
        (audio(b"\x3fpcm"), "PCM"),
    ],
)
def test_other_codecs_are_refused_by_name(tag: Tag, name: str) -> None:
    """The broadcaster reads what came and what to set."""
    with pytest.raises(Unsupported, match=name) as refusal:
        plain(tag)
    assert "encoder" in str(refusal.value)


IDR = nal(19, b"slice")
CRA = nal(32, b"vps") + nal(33) + nal(34) + nal(39, b"sei") + nal(21)
TRAIL = nal(35) + nal(1, b"slice")
DELIMITER = obu(2)
KEY = obu(1, b"sequence") + obu(6, b"\x10frame")
INTER = obu(6, b"\x30frame")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (video(b"\x90hvc1cfg"), video(b"\x1c\0\0\0\0cfg")),
        (video(b"\x91hvc1\0\0\x42" + IDR), video(b"\x1c\1\0\0\x42" + IDR)),
        (video(b"\xa1hvc1\xff\xff\xfe" + TRAIL), video(b"\x2c\1\xff\xff\xfe" + TRAIL)),
        (video(b"\xa3hvc1" + TRAIL), video(b"\x2c\1\0\0\0" + TRAIL)),
        (video(b"\x1c\1\0\0\x42" + IDR), video(b"\x1c\1\0\0\x42" + IDR)),
        (video(b"\xa7\x02\0\0\1\x03hvc1" + TRAIL), video(b"\x2c\1\0\0\0" + TRAIL)),
        # What the pictures are counts, not what the header says.
        (video(b"\xa3hvc1" + CRA), video(b"\x1c\1\0\0\0" + CRA)),
        (video(b"\x93hvc1" + TRAIL), video(b"\x2c\1\0\0\0" + TRAIL)),
        (video(b"\x90av01cfg"), video(b"\x1d\0\0\0\0cfg")),
        (video(b"\x91av01" + DELIMITER + KEY), video(b"\x1d\1\0\0\0" + KEY)),
        (video(b"\xa3av01" + DELIMITER + INTER), video(b"\x2d\1\0\0\0" + INTER)),
        (video(b"\xa1av01" + KEY), video(b"\x1d\1\0\0\0" + KEY)),
        (video(b"\x91av01" + obu(15, b"padding") + INTER), video(b"\x2d\1\0\0\0" + INTER)),
        # A key frame that is shown later is no place to begin; nor is one that is only shown again.
        (video(b"\x91av01" + obu(6, b"\x00frame")), video(b"\x2d\1\0\0\0" + obu(6, b"\x00frame"))),
        (video(b"\x91av01" + obu(3, b"\x80")), video(b"\x2d\1\0\0\0" + obu(3, b"\x80"))),
    ],
)
def test_hevc_and_av1_get_the_header_that_h264_has(said: Tag, expected: Tag) -> None:
    """Set-up and pictures; keyframes are what decoders can begin with; AV1 loses delimiters and padding."""
    made = plain(said)
    assert made == expected
    assert made.is_header == (expected.payload[1] == 0)


@pytest.mark.parametrize("body", [b"", b"\0\0\0", bytes(400), b"\xff" * 50, b"\0\0\0\x09\x26", nal(33), obu(1)])
@pytest.mark.parametrize(("fourcc", "codec"), [(b"hvc1", HEVC), (b"av01", AV1)])
def test_rubbish_is_carried_as_it_is(fourcc: bytes, codec: int, body: bytes) -> None:
    """Where no picture is found in it, the header's word counts."""
    for head, flag in ((b"\x93", 0x10), (b"\xa3", 0x20)):
        made = plain(video(head + fourcc + body))
        assert made == (video(bytes((flag | codec, 1, 0, 0, 0)) + body) if body else None)


@pytest.mark.parametrize("codec", [b"\x1c\0\0\0\0", b"\x1c\1\0\0\x42" + IDR, b"\x2d\1\0\0\0" + INTER, b"\x1d\0\0\0\0cfg"])
def test_ffmpeg_is_fed_enhanced_tags_which_mean_the_same(codec: bytes) -> None:
    """FLV has no number for these codecs that FFmpeg knows."""
    tag = video(codec + b"x")
    raw = enhanced(tag).encode()
    assert raw[11] & 0x80
    assert raw[12:16] in (b"hvc1", b"av01")
    assert plain(video(raw[11:-4])) == tag
    assert int.from_bytes(raw[1:4], "big") == len(raw) - 15
    assert int.from_bytes(raw[-4:], "big") == len(raw) - 4


def test_a_site_may_take_fewer_codecs() -> None:
    """What is not taken is refused by name, with those that are."""
    assert plain(video(AVC_HEADER), {AVC}) is not None
    for tag in (video(b"\x90hvc1cfg"), video(b"\x1c\0\0\0\0cfg")):
        with pytest.raises(Unsupported, match=r"takes H\.264 or AV1 video, and HEVC \(H\.265\) came"):
            plain(tag, {AVC, AV1})
    for tag in (video(b"\x91av01" + KEY), video(b"\x94av01colour")):
        with pytest.raises(Unsupported, match=r"takes H\.264 video, and AV1 came"):
            plain(tag, {AVC})


@pytest.mark.parametrize(
    "tag",
    [
        *(video(b"\x92hvc1"), video(b"\x94hvc1colour"), video(b"\x95av01descriptor"), video(b"\xd1hvc1"), video(b"\x91hvc1")),
        *(video(b"\x17\x02\0\0\0\0"), video(b"\x17"), video(b"\x57\x00"), video(b"\xd0avc1")),
        *(video(b"\x92avc1"), video(b"\x94avc1colour"), video(b"\x91avc1")),
        *(audio(b"\xaf"), audio(b"\xaf\x01"), audio(b"\x92mp4a"), audio(b"\x94mp4a\x01")),
    ],
)
def test_what_shows_nothing_is_left_out(tag: Tag) -> None:
    """Ends of sequences, seeks, colours, and tags that are cut short."""
    assert plain(tag) is None
