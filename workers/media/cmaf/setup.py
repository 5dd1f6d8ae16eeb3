"""What a decoder needs first: the tracks of one run, and their initialisation segment."""

import struct
from typing import NamedTuple

from workers.media.cmaf.aac import Sound, esds, sound
from workers.media.cmaf.boxes import IDENTITY, box, full_box
from workers.media.cmaf.picture import Picture, picture
from workers.media.flv import AVC

#: Ticks per second of the pictures' track: FLV's times are whole milliseconds, and more digits would be made up.
MILLISECONDS = 1000
PICTURES, SOUNDS = 1, 2
_UNDETERMINED = 0x55C4  # "und"


class Setup(NamedTuple):
    """The tracks of one run; at least one is there."""

    picture: Picture | None
    sound: Sound | None

    @classmethod
    def read(cls, pictures: bytes | None, aac: bytes | None, codec: int = AVC) -> "Setup":
        """Of the bodies of FLV's sequence headers, without their FLV bytes; *codec* is that of the pictures.

        Raises:
            ValueError: one of them cannot be read, or there is none.
        """
        if pictures is None and aac is None:
            msg = "neither pictures nor sound"
            raise ValueError(msg)
        return cls(picture(pictures, codec) if pictures is not None else None, sound(aac) if aac is not None else None)

    @property
    def codecs(self) -> str:
        """The CODECS attribute."""
        return ",".join(each.codec for each in (self.picture, self.sound) if each is not None)

    def initialisation(self) -> bytes:
        """The initialisation segment: ftyp and moov."""
        tracks, extends = [], []
        if self.picture is not None:
            tracks.append(_picture_track(self.picture))
            extends.append(PICTURES)
        if self.sound is not None:
            tracks.append(_sound_track(self.sound))
            extends.append(SOUNDS)
        header = full_box(
            b"mvhd",
            0,
            0,
            struct.pack(">IIIIIH10x", 0, 0, MILLISECONDS, 0, 0x10000, 0x100),
            IDENTITY,
            struct.pack(">24xI", SOUNDS + 1),
        )
        defaults = b"".join(full_box(b"trex", 0, 0, struct.pack(">IIIII", number, 1, 0, 0, 0)) for number in extends)
        kinds = box(b"ftyp", b"iso6", struct.pack(">I", 1), b"iso6mp41")
        return kinds + box(b"moov", header, *tracks, box(b"mvex", defaults))


def _picture_track(of: Picture) -> bytes:
    entry = box(
        of.entry,
        struct.pack(">6xH16xHHIIIH32xHh", 1, of.width, of.height, 0x480000, 0x480000, 0, 1, 24, -1),
        box(of.configures, of.record),
    )
    head = full_box(b"vmhd", 0, 1, bytes(8))
    return _track(PICTURES, MILLISECONDS, (b"vide", b"Pictures\0"), head, entry, (of.width, of.height))


def _sound_track(of: Sound) -> bytes:
    # The field has 16 bits; above it the descriptor tells the rate.
    rate = min(of.rate, 0xFFFF) << 16
    entry = box(b"mp4a", struct.pack(">6xH8xHH4xI", 1, of.channels or 2, 16, rate), esds(of.config))
    return _track(SOUNDS, of.rate, (b"soun", b"Sound\0"), full_box(b"smhd", 0, 0, bytes(4)), entry, None)


def _track(
    number: int, scale: int, handler: tuple[bytes, bytes], head: bytes, entry: bytes, size: tuple[int, int] | None
) -> bytes:
    width, height = size or (0, 0)
    volume = 0 if size else 0x100
    header = full_box(
        b"tkhd",
        0,
        7,
        struct.pack(">IIIII8xHHHH", 0, 0, number, 0, 0, 0, 0, volume, 0),
        IDENTITY,
        struct.pack(">II", width << 16, height << 16),
    )
    empty = b"".join(full_box(kind, 0, 0, bytes(4)) for kind in (b"stts", b"stsc"))
    table = box(
        b"stbl",
        full_box(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        empty,
        full_box(b"stsz", 0, 0, bytes(8)),
        full_box(b"stco", 0, 0, bytes(4)),
    )
    here = box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1)))
    media = box(
        b"mdia",
        full_box(b"mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, scale, 0, _UNDETERMINED, 0)),
        full_box(b"hdlr", 0, 0, struct.pack(">4x4s12x", handler[0]), handler[1]),
        box(b"minf", head, here, table),
    )
    return box(b"trak", header, media)
