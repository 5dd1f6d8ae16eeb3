"""Which codec a tag is in: its name for the broadcaster, and enhanced RTMP brought back to FLV's own form.

Enhanced RTMP (Veovera, v2) names codecs by four characters; what is taken becomes the same bytes behind FLV's own header
(see `flv`). HEVC and AV1 tell by their pictures which of them a decoder can begin with, and lose what samples do not have.
All other codecs are refused by name, with what to set.
"""

from collections.abc import Container

from workers.media.cmaf import av1, hevc
from workers.media.flv import AUDIO, AV1, AVC, HEVC, NAMES, VIDEO, Tag, Unsupported

#: All that can be taken.
ALL = frozenset(NAMES)
_VIDEO_IDS = {2: "Sorenson H.263", 3: "Screen Video", 4: "VP6", 5: "VP6", 6: "Screen Video", **NAMES}
_AUDIO_IDS = {
    **dict.fromkeys((0, 3), "PCM"),
    **dict.fromkeys((2, 14), "MP3"),
    **dict.fromkeys((4, 5, 6), "Nellymoser"),
    **dict.fromkeys((7, 8), "G.711"),
    1: "ADPCM",
    11: "Speex",
    13: "Opus",
}
_CODECS = {b"avc1": AVC, b"hvc1": HEVC, b"av01": AV1}
_FOURCC = {
    **{fourcc: NAMES[codec] for fourcc, codec in _CODECS.items()}, b"vp08": "VP8", b"vp09": "VP9", b"vvc1": "VVC (H.266)",
    b"mp4a": "AAC", b"Opus": "Opus", b"ac-3": "AC-3", b"ec-3": "E-AC-3", b".mp3": "MP3", b"fLaC": "FLAC",
}  # fmt: skip
_AAC = 10
_EX_AUDIO = 9
_KEYFRAME, _OTHER, _COMMAND_FRAME = 1, 2, 5
_VIDEO_MULTITRACK, _AUDIO_MULTITRACK, _MODIFIER = 6, 5, 7


def plain(tag: Tag, taken: Container[int] = ALL) -> Tag | None:
    """*tag* in FLV's own form; `None` when it has nothing to show or hear. Of codecs for pictures, *taken* are.

    Raises:
        Unsupported: another codec, or more than one track.
    """
    if tag.type == VIDEO:
        return _video(tag, taken)
    return _audio(tag) if tag.type == AUDIO else tag


def _video(tag: Tag, taken: Container[int]) -> Tag | None:
    first = tag.payload[0]
    if first & 0x80:
        return _enhanced_video(tag, first >> 4 & 7, taken)
    if first >> 4 == _COMMAND_FRAME:
        return None
    codec = first & 0x0F
    if codec not in taken:
        raise _no_video(_VIDEO_IDS.get(codec, f"codec {codec}"), taken)
    # Set-up (0) and pictures (1) have a composition time; an end of sequence (2) has nothing for anybody.
    if len(tag.payload) <= 5 or tag.payload[1] > 1:
        return None
    return tag if codec == AVC or tag.payload[1] == 0 else _coded(tag, codec)


def _coded(tag: Tag, codec: int) -> Tag:
    """A picture of HEVC or AV1."""
    body, flag = tag.payload[5:], tag.is_keyframe
    body, key = av1.sample(body, flag) if codec == AV1 else (body, hevc.is_random_access(body, flag))
    return tag._replace(payload=bytes(((_KEYFRAME if key else _OTHER) << 4 | codec,)) + tag.payload[1:5] + body)


def _audio(tag: Tag) -> Tag | None:
    codec = tag.payload[0] >> 4
    if codec == _EX_AUDIO:
        return _enhanced_audio(tag)
    if codec != _AAC:
        raise _no_audio(_AUDIO_IDS.get(codec, f"codec {codec}"))
    return tag if len(tag.payload) > 2 and tag.payload[1] < 2 else None


def _enhanced_video(tag: Tag, frame: int, taken: Container[int]) -> Tag | None:
    kind, rest = _unmodified(tag.payload)
    if kind == _VIDEO_MULTITRACK:
        msg = "This server takes one video track. Turn off Multitrack Video (Enhanced Broadcasting) in the encoder."
        raise Unsupported(msg)
    if frame == _COMMAND_FRAME:
        return None
    fourcc, body = rest[:4], rest[4:]
    codec = _CODECS.get(fourcc)
    if codec is None or codec not in taken:
        raise _no_video(_name(fourcc), taken)
    head = bytes((frame << 4 | codec,))
    # Coded pictures (1) have a composition time; where it is 0 they may come without (3), as those of AV1 always do.
    match kind:
        case 0:
            carried = head + bytes(4) + body
        case 1 if codec != AV1:
            carried = head + b"\x01" + body
        case 1 | 3:
            carried = head + b"\x01" + bytes(3) + body
        case _:
            return None
    return _video(tag._replace(payload=carried), taken)


def _enhanced_audio(tag: Tag) -> Tag | None:
    kind, rest = _unmodified(tag.payload)
    if kind == _AUDIO_MULTITRACK:
        msg = "This server takes one audio track. Turn off further tracks (OBS: the VOD track) in the encoder."
        raise Unsupported(msg)
    fourcc, body = rest[:4], rest[4:]
    if fourcc != b"mp4a":
        raise _no_audio(_name(fourcc))
    # AAC's own header says what the sound is: the rate and channel bits before it count for nothing.
    return _audio(tag._replace(payload=bytes((_AAC << 4 | 0x0F, kind)) + body)) if kind < 2 else None


def _unmodified(payload: bytes) -> tuple[int, bytes]:
    """Packet type and what follows, without modifiers (a nanosecond offset), each of which names the type behind it."""
    kind, rest = payload[0] & 0x0F, payload[1:]
    while kind == _MODIFIER and rest:
        size, rest = rest[0] + 1, rest[1:]
        if size == 256:
            size, rest = int.from_bytes(rest[:2], "big") + 1, rest[2:]
        kind, rest = (rest[size] & 0x0F if len(rest) > size else -1), rest[size + 1 :]
    return kind, rest


def _name(fourcc: bytes) -> str:
    return _FOURCC.get(fourcc) or repr(fourcc.decode("ascii", "replace"))


def _no_video(name: str, taken: Container[int]) -> Unsupported:
    *others, last = [each for codec, each in NAMES.items() if codec in taken]
    names = f"{', '.join(others)} or {last}" if others else last
    return Unsupported(f"This server takes {names} video, and {name} came: set the encoder to H.264 (x264, NVENC H.264, ...).")


def _no_audio(name: str) -> Unsupported:
    return Unsupported(f"This server takes AAC sound, and {name} came: set the encoder to AAC.")
