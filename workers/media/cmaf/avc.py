"""H.264's set-up: the AVCDecoderConfigurationRecord (ISO 14496-15, 5.3.3.1) and the SPS in it (ITU-T H.264, 7.3.2.1.1)."""

from workers.media.cmaf.bits import Bits

#: Profiles whose SPS has the chroma format and scaling lists.
_HIGH = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


def read(record: bytes) -> tuple[bytes, str, int, int]:
    """The record, the codec string, width and height.

    Raises:
        ValueError: it is no record with a parameter set.
    """
    if len(record) < 8 or record[0] != 1 or not record[5] & 0x1F:
        msg = "no AVC configuration with a parameter set"
        raise ValueError(msg)
    size = int.from_bytes(record[6:8], "big")
    return record, f"avc1.{record[1:4].hex()}", *_size(record[8 : 8 + size])


def _size(sps: bytes) -> tuple[int, int]:
    """Width and height after cropping."""
    bits = Bits(sps[1:].replace(b"\0\0\3", b"\0\0"))
    profile = bits.take(8)
    bits.take(16)
    bits.unsigned()
    chroma = 1
    if profile in _HIGH:
        chroma = _chroma(bits)
    bits.unsigned()
    match bits.unsigned():
        case 0:
            bits.unsigned()
        case 1:
            bits.take(1)
            bits.signed()
            bits.signed()
            for _ in range(bits.unsigned()):
                bits.signed()
        case _:
            pass
    bits.unsigned()
    bits.take(1)
    width = (bits.unsigned() + 1) * 16
    rows = bits.unsigned() + 1
    frames_only = bits.take(1)
    height = rows * 16 * (2 - frames_only)
    if not frames_only:
        bits.take(1)
    bits.take(1)
    if bits.take(1):
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        across, down = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1)
        width -= (left + right) * across
        height -= (top + bottom) * down * (2 - frames_only)
    return width, height


def _chroma(bits: Bits) -> int:
    chroma = bits.unsigned()
    if chroma == 3:
        bits.take(1)
    bits.unsigned()
    bits.unsigned()
    bits.take(1)
    if bits.take(1):
        for index in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last
