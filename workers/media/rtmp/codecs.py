"""Which codec a tag is in: its name for the broadcaster, and enhanced RTMP brought back to FLV's own form.

Enhanced RTMP (Veovera, v2) names codecs by four characters. H.264 and AAC may come that way as well; then they are the same
bytes behind another header. All other codecs are refused by name, with what to set.
"""

from workers.media.flv import AUDIO, VIDEO, Tag, Unsupported

_VIDEO_IDS = {2: "Sorenson H.263", 3: "Screen Video", 4: "VP6", 5: "VP6", 6: "Screen Video", 12: "HEVC (H.265)", 13: "AV1"}
_AUDIO_IDS = {
    **dict.fromkeys((0, 3), "PCM"),
    **dict.fromkeys((2, 14), "MP3"),
    **dict.fromkeys((4, 5, 6), "Nellymoser"),
    **dict.fromkeys((7, 8), "G.711"),
    1: "ADPCM",
    11: "Speex",
    13: "Opus",
}
_FOURCC = {
    b"avc1": "H.264", b"hvc1": "HEVC (H.265)", b"av01": "AV1", b"vp08": "VP8", b"vp09": "VP9", b"vvc1": "VVC (H.266)",
    b"mp4a": "AAC", b"Opus": "Opus", b"ac-3": "AC-3", b"ec-3": "E-AC-3", b".mp3": "MP3", b"fLaC": "FLAC",
}  # fmt: skip
_H264, _AAC = 7, 10
_EX_AUDIO = 9
_COMMAND_FRAME = 5
_VIDEO_MULTITRACK, _AUDIO_MULTITRACK, _MODIFIER = 6, 5, 7


def plain(tag: Tag) -> Tag | None:
    """*tag* as FLV's own H.264 or AAC tag; `None` when it has nothing to show or hear.

    Raises:
        Unsupported: another codec, or more than one track.
    """
    if tag.type == VIDEO:
        return _video(tag)
    return _audio(tag) if tag.type == AUDIO else tag


def _video(tag: Tag) -> Tag | None:
    first = tag.payload[0]
    if first & 0x80:
        return _enhanced_video(tag, first >> 4 & 7)
    if first >> 4 == _COMMAND_FRAME:
        return None
    if first & 0x0F != _H264:
        raise _no_video(_VIDEO_IDS.get(first & 0x0F, f"codec {first & 0x0F}"))
    # Set-up (0) and pictures (1) have a composition time; an end of sequence (2) has nothing for anybody.
    return tag if len(tag.payload) > 5 and tag.payload[1] < 2 else None


def _audio(tag: Tag) -> Tag | None:
    codec = tag.payload[0] >> 4
    if codec == _EX_AUDIO:
        return _enhanced_audio(tag)
    if codec != _AAC:
        raise _no_audio(_AUDIO_IDS.get(codec, f"codec {codec}"))
    return tag if len(tag.payload) > 2 and tag.payload[1] < 2 else None


def _enhanced_video(tag: Tag, frame: int) -> Tag | None:
    kind, rest = _unmodified(tag.payload)
    if kind == _VIDEO_MULTITRACK:
        msg = "This server takes one video track. Turn off Multitrack Video (Enhanced Broadcasting) in the encoder."
        raise Unsupported(msg)
    if frame == _COMMAND_FRAME:
        return None
    fourcc, body = rest[:4], rest[4:]
    if fourcc != b"avc1":
        raise _no_video(_name(fourcc))
    head = bytes((frame << 4 | _H264,))
    match kind:
        case 0:
            carried = head + bytes(4) + body
        case 1:
            carried = head + b"\x01" + body
        case 3:
            carried = head + b"\x01" + bytes(3) + body
        case _:
            return None
    return _video(tag._replace(payload=carried))


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


def _no_video(name: str) -> Unsupported:
    return Unsupported(f"This server takes H.264 video, and {name} came: set the encoder to H.264 (x264, NVENC H.264, ...).")


def _no_audio(name: str) -> Unsupported:
    return Unsupported(f"This server takes AAC sound, and {name} came: set the encoder to AAC.")
