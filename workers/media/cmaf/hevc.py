"""HEVC's set-up: the HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1) and the SPS in it (ITU-T H.265, 7.3.2.2)."""

from workers.media.cmaf.bits import Bits

#: Where the arrays of parameter sets begin.
_ARRAYS = 23
_SPS = 33
_PARAMETER_SETS = range(32, 35)
#: Slices have types below this, and those that a decoder can begin with lie in the range after it (7.4.2.2).
_SLICES = 32
_RANDOM_ACCESS = range(16, 24)
#: NAL units looked at before the first slice; encoders put up to six there (delimiter, parameter sets, SEI).
_MOST = 32


def read(record: bytes) -> tuple[bytes, str, int, int]:
    """The record as `hvc1` wants it, the codec string, width and height.

    Raises:
        ValueError: it is no record with an SPS, or its pictures' lengths do not have four bytes.
    """
    if len(record) < _ARRAYS or record[0] != 1:
        msg = "no HEVC configuration"
        raise ValueError(msg)
    if record[21] & 3 != 3:
        msg = "HEVC whose lengths do not have four bytes"
        raise ValueError(msg)
    out, sps = _arrays(record)
    if sps is None:
        msg = "no SPS in the HEVC configuration"
        raise ValueError(msg)
    return out, codec(record), *_size(sps)


def codec(record: bytes) -> str:
    """As RFC 6381 and 14496-15, annex E.3: profile, its compatibility (bits reversed), tier and level, constraints."""
    space = ("", "A", "B", "C")[record[1] >> 6]
    tier = "H" if record[1] & 0x20 else "L"
    compatible = int(f"{int.from_bytes(record[2:6], 'big'):032b}"[::-1], 2)
    constraints = "".join(f".{byte:X}" for byte in record[6:12].rstrip(b"\0"))
    return f"hvc1.{space}{record[1] & 0x1F}.{compatible:X}.{tier}{record[12]}{constraints}"


def is_random_access(sample: bytes, default: bool) -> bool:  # noqa: FBT001 - what holds where there is no slice
    """Whether a decoder can begin with *sample* (NAL units behind lengths of four bytes), by its first slice."""
    at = 0
    for _ in range(_MOST):
        following = at + 4 + int.from_bytes(sample[at : at + 4], "big")
        if following > len(sample):
            break
        kind = sample[at + 4] >> 1 & 0x3F if following > at + 4 else _SLICES
        if kind < _SLICES:
            return kind in _RANDOM_ACCESS
        at = following
    return default


def _arrays(record: bytes) -> tuple[bytes, bytes | None]:
    """The record whose parameter sets are said to be complete, which `hvc1` demands, and the first SPS."""
    out, at, sps = bytearray(record), _ARRAYS, None
    for _ in range(record[_ARRAYS - 1]):
        kind = record[at] & 0x3F if at < len(record) else 0
        if kind in _PARAMETER_SETS:
            out[at] |= 0x80
        count, at = int.from_bytes(record[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2], "big")
            if at + 2 + size > len(record):
                msg = "an HEVC configuration that is cut short"
                raise ValueError(msg)
            if kind == _SPS and sps is None:
                sps = record[at + 2 : at + 2 + size]
            at += 2 + size
    return bytes(out), sps


def _size(sps: bytes) -> tuple[int, int]:
    """Width and height after cropping."""
    bits = Bits(sps[2:].replace(b"\0\0\3", b"\0\0"))
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    _skip_profiles(bits, layers)
    bits.unsigned()
    chroma = bits.unsigned()
    if chroma == 3:
        bits.take(1)
    width, height = bits.unsigned(), bits.unsigned()
    if bits.take(1):
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        across, down = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1)
        width -= (left + right) * across
        height -= (top + bottom) * down
    return width, height


def _skip_profiles(bits: Bits, layers: int) -> None:
    """profile_tier_level (7.3.3) of *layers* sub-layers below the general one."""
    bits.take(88 + 8)
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
