"""An initialisation segment, read back: what a finished recording's playlists say of its tracks, without asking who made it."""

from typing import NamedTuple

from workers.media.cmaf.aac import sound
from workers.media.cmaf.picture import picture
from workers.media.flv import AV1, AVC, HEVC
from workers.media.recording.fragments import boxes, child

#: Bytes of a sample entry before the boxes in it (ISO 14496-12, 12.1.3 and 12.2.3).
_PICTURE_HEAD, _SOUND_HEAD = 78, 28
_ESDS_CONFIG = 0x05
#: Sample entries of pictures: the box with the decoder's configuration, and its codec.
_PICTURES = {b"avc1": (b"avcC", AVC), b"hvc1": (b"hvcC", HEVC), b"av01": (b"av1C", AV1)}


class Initial(NamedTuple):
    """*codecs* as in RFC 6381; the size is 0 without pictures; *scales*: ticks per second by track."""

    codecs: list[str]
    width: int
    height: int
    scales: dict[int, int]


def initial(data: bytes) -> Initial:
    """Read *data*.

    Raises:
        ValueError: it is no initialisation segment of ours.
    """
    moov = child(data, b"moov")
    if moov is None:
        msg = "no initialisation segment"
        raise ValueError(msg)
    codecs: list[str] = []
    width = height = 0
    scales: dict[int, int] = {}
    for kind, trak in boxes(moov):
        if kind != b"trak":
            continue
        head, times = child(trak, b"tkhd"), child(trak, b"mdia", b"mdhd")
        entries = child(trak, b"mdia", b"minf", b"stbl", b"stsd")
        if head is None or times is None or entries is None:
            msg = "a track without its description"
            raise ValueError(msg)
        scales[int.from_bytes(head[12:16], "big")] = int.from_bytes(times[12:16], "big")
        for entry, body in boxes(entries[8:]):
            codec, across, down = _entry(entry, body)
            codecs.append(codec)
            width, height = max(width, across), max(height, down)
    return Initial(codecs, width, height, scales)


def _entry(kind: bytes, body: bytes) -> tuple[str, int, int]:
    if kind == b"mp4a":
        found = child(body[_SOUND_HEAD:], b"esds")
        if found is None:
            msg = "sound without its configuration"
            raise ValueError(msg)
        return sound(_config(found)).codec, 0, 0
    configures, codec = _PICTURES.get(kind, (b"", AVC))
    found = child(body[_PICTURE_HEAD:], configures) if configures else None
    if found is None:
        msg = f"pictures of kind {kind!r}"
        raise ValueError(msg)
    read = picture(found, codec)
    return read.codec, read.width, read.height


def _config(esds: bytes) -> bytes:
    """The AudioSpecificConfig, last of the descriptors that lie in each other (ISO 14496-1, 7.2.6)."""
    at = esds.find(bytes((_ESDS_CONFIG, 0x80, 0x80, 0x80)))
    if at < 0:
        msg = "sound without its configuration"
        raise ValueError(msg)
    return esds[at + 5 : at + 5 + esds[at + 4]]
