"""Codecs by name, and enhanced RTMP."""

import pytest

from tests.dialogues import AAC_HEADER, AVC_HEADER, keyframe, picture, sound
from workers.media.flv import AUDIO, VIDEO, Tag, Unsupported
from workers.media.rtmp.codecs import plain


def video(payload: bytes) -> Tag:
    """A message of pictures."""
    return Tag(VIDEO, 40, payload)


def audio(payload: bytes) -> Tag:
    """A message of sound."""
    return Tag(AUDIO, 40, payload)


@pytest.mark.parametrize(
    "tag", [video(AVC_HEADER), video(keyframe(50)), video(picture(50)), audio(AAC_HEADER), audio(sound(9)), Tag(18, 0, b"m")]
)
def test_what_is_taken_passes_as_it_is(tag: Tag) -> None:
    """H.264, AAC and metadata."""
    assert tag is plain(tag)


@pytest.mark.parametrize(
    ("enhanced", "expected"),
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
def test_h264_and_aac_by_four_characters_are_the_same_bytes(enhanced: Tag, expected: Tag) -> None:
    """Set-up, pictures with and without composition time, and sound become FLV's own tags."""
    assert expected == plain(enhanced)


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (video(b"\x90hvc1cfg"), "HEVC"),
        (video(b"\x91hvc1\0\0\0x"), "HEVC"),
        (video(b"\x94hvc1colour"), "HEVC"),
        (video(b"\x90av01cfg"), "AV1"),
        (video(b"\x90vp09cfg"), "VP9"),
        (video(b"\x90!?\x00\xffcfg"), "!?"),
        (video(b"\x1c\0\0\0\0cfg"), "HEVC"),
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


@pytest.mark.parametrize(
    "tag",
    [
        *(video(b"\x17\x02\0\0\0\0"), video(b"\x17"), video(b"\x57\x00"), video(b"\xd0avc1")),
        *(video(b"\x92avc1"), video(b"\x94avc1colour"), video(b"\x91avc1")),
        *(audio(b"\xaf"), audio(b"\xaf\x01"), audio(b"\x92mp4a"), audio(b"\x94mp4a\x01")),
    ],
)
def test_what_shows_nothing_is_left_out(tag: Tag) -> None:
    """Ends of sequences, seeks, colours, and tags that are cut short."""
    assert plain(tag) is None
