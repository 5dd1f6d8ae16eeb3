"""AAC's set-up: the AudioSpecificConfig (ISO 14496-3, 1.6.2.1) and the descriptor that carries it."""

import struct
from typing import NamedTuple

from workers.media.cmaf.bits import Bits
from workers.media.cmaf.boxes import descriptor, full_box

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
_ESCAPE = 31


class Sound(NamedTuple):
    """*config* as in the descriptor, *codec* as in RFC 6381; a frame lasts *frame* ticks of *rate* per second."""

    config: bytes
    codec: str
    rate: int
    channels: int
    frame: int


def sound(config: bytes) -> Sound:
    """Read what FLV carries as AAC sequence header.

    Raises:
        ValueError: it is none.
    """
    bits = Bits(config)
    kind = bits.take(5)
    if kind == _ESCAPE:
        kind = 32 + bits.take(6)
    index = bits.take(4)
    rate = bits.take(24) if index == 15 else _RATES[index] if index < len(_RATES) else 0
    channels = bits.take(4)
    if not rate or not kind:
        msg = f"AAC of type {kind} at {rate} Hz"
        raise ValueError(msg)
    core = kind
    if kind in (5, 29):
        if bits.take(4) == 15:
            bits.take(24)
        core = bits.take(5)
    short = core in (1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23) and bits.take(1)
    return Sound(config, f"mp4a.40.{kind}", rate, _CHANNELS[channels] if channels < 8 else 2, 960 if short else 1024)


def esds(config: bytes) -> bytes:
    """The elementary stream descriptor (ISO 14496-14, 5.6.1)."""
    decoder = descriptor(4, struct.pack(">BB3xII", 0x40, 0x15, 0, 0), descriptor(5, config))
    return full_box(b"esds", 0, 0, descriptor(3, b"\0\0\0", decoder, descriptor(6, b"\2")))
