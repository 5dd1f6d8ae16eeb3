"""The pictures' set-up, whatever codec they are in."""

from typing import NamedTuple

from workers.media.cmaf import av1, avc, hevc
from workers.media.flv import AV1, AVC, HEVC

_READERS = {AVC: (avc.read, b"avc1", b"avcC"), HEVC: (hevc.read, b"hvc1", b"hvcC"), AV1: (av1.read, b"av01", b"av1C")}


class Picture(NamedTuple):
    """*record* as it goes into the box *configures* of the sample *entry*, *codec* as in RFC 6381, the size that is shown."""

    record: bytes
    codec: str
    width: int
    height: int
    entry: bytes = b"avc1"
    configures: bytes = b"avcC"


def picture(record: bytes, codec: int = AVC) -> Picture:
    """Read the decoder configuration that a sequence header of *codec* (as `flv` numbers them) carries.

    Raises:
        ValueError: it is none.
    """
    read, entry, configures = _READERS[codec]
    stored, name, width, height = read(record)
    if not (0 < width <= 16384 and 0 < height <= 16384):
        msg = f"a picture of {width}x{height}"
        raise ValueError(msg)
    return Picture(stored, name, width, height, entry, configures)
