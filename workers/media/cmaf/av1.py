"""AV1's set-up: the AV1CodecConfigurationRecord (AV1 in ISOBMFF, 2.3) and the sequence header in it (AV1 5.5)."""

from collections.abc import Iterator
from typing import NamedTuple

from workers.media.cmaf.bits import Bits

_SEQUENCE_HEADER, _DELIMITER, _FRAME_HEADER, _FRAME = 1, 2, 3, 6
#: Kinds that have no place in a sample (2.4): temporal delimiters, tile lists, padding.
_OUTSIDE = frozenset({_DELIMITER, 8, 15})
#: A record without an OBU.
_BARE = 4
#: OBUs looked at before the first frame; encoders put up to four there (delimiter, sequence header, metadata).
_MOST = 32
#: LEB128 numbers have eight bytes at most (4.10.5).
_LONGEST = 8
#: Show no existing frame; a key frame; show it.
_KEY_MASK, _KEY = 0xF0, 0x10


class _Obu(NamedTuple):
    kind: int
    start: int
    body: int
    end: int


def read(record: bytes) -> tuple[bytes, str, int, int]:
    """The record, the codec string, width and height.

    Raises:
        ValueError: it is no record with a sequence header.
    """
    if len(record) < _BARE or record[0] != 0x81:
        msg = "no AV1 configuration"
        raise ValueError(msg)
    for obu in _obus(record, _BARE):
        if obu.kind == _SEQUENCE_HEADER:
            return record, codec(record), *_size(record[obu.body : obu.end])
    msg = "no sequence header in the AV1 configuration"
    raise ValueError(msg)


def codec(record: bytes) -> str:
    """As AV1 in ISOBMFF, 5: profile, level, tier, bits per sample."""
    tier = "H" if record[2] & 0x80 else "M"
    depth = (12 if record[2] & 0x20 else 10) if record[2] & 0x40 else 8
    return f"av01.{record[1] >> 5}.{record[1] & 0x1F:02}{tier}.{depth:02}"


def missing(record: bytes, keyframe: bytes) -> bytes:
    """The sequence header of *keyframe* where *record* has none; else nothing."""
    if len(record) != _BARE:
        return b""
    return next((keyframe[each.start : each.end] for each in _obus(keyframe, 0) if each.kind == _SEQUENCE_HEADER), b"")


def sample(unit: bytes, default: bool) -> tuple[bytes, bool]:  # noqa: FBT001 - what holds where there is no frame
    """A temporal unit as a sample, and whether a decoder can begin with it: a key frame that is shown comes first in it."""
    kept, at, key = [], 0, default
    for obu in _obus(unit, 0):
        if obu.kind in _OUTSIDE:
            kept.append(unit[at : obu.start])
            at = obu.end
        elif obu.kind in (_FRAME, _FRAME_HEADER):
            key = obu.body < obu.end and unit[obu.body] & _KEY_MASK == _KEY
            break
    return (b"".join((*kept, unit[at:])) if at else unit), key


def _obus(data: bytes, at: int) -> Iterator[_Obu]:
    """The first OBUs in *data* from *at* on, as far as they are whole."""
    for _ in range(_MOST):
        if at >= len(data):
            return
        head, body = data[at], at + (2 if data[at] & 4 else 1)
        end = len(data)
        if head & 2:
            size = 0
            for n in range(_LONGEST):
                if body >= end:
                    return
                size, more, body = size | (data[body] & 0x7F) << 7 * n, data[body] & 0x80, body + 1
                if not more:
                    break
            if body + size > end:
                return
            end = body + size
        yield _Obu(head >> 3 & 15, at, body, end)
        at = end


def _size(header: bytes) -> tuple[int, int]:
    """The greatest width and height."""
    bits = Bits(header)
    bits.take(3 + 1)
    if bits.take(1):
        bits.take(5)
    else:
        _skip_operating_points(bits)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(across) + 1, bits.take(down) + 1


def _skip_operating_points(bits: Bits) -> None:
    timed, delay_size = bits.take(1), 0
    decoder_model = 0
    if timed:
        bits.take(64)
        if bits.take(1):
            _skip_uvlc(bits)
        decoder_model = bits.take(1)
        if decoder_model:
            delay_size = bits.take(5) + 1
            bits.take(32 + 5 + 5)
    display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if decoder_model and bits.take(1):
            bits.take(2 * delay_size + 1)
        if display_delay and bits.take(1):
            bits.take(4)


def _skip_uvlc(bits: Bits) -> None:
    """uvlc() (4.10.3): of 32 zeros and more nothing follows."""
    zeros = 0
    while not bits.take(1):
        zeros += 1
    bits.take(zeros if zeros < 32 else 0)
