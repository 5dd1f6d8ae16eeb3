"""What an encoder says of itself in onMetaData. Nothing is decided by it: some encoders send what was set long ago."""

from collections.abc import Mapping
from typing import NamedTuple

from workers.media.rtmp.amf import AmfError, Value, decode

#: Longer names are cut; libobs needs 45 characters.
MAX_NAME = 100
_MOST_RATE = 1000.0


class Metadata(NamedTuple):
    """The encoder's name, empty where it tells none, and its pictures per second, 0 likewise."""

    encoder: str
    frame_rate: float


def read(payload: bytes) -> Metadata:
    """Read the body of a script tag; what cannot be read tells nothing."""
    try:
        values = decode(payload)
    except AmfError:
        values = []
    found = next((value for value in values if isinstance(value, Mapping)), {})
    rate = found.get("framerate")
    return Metadata(name(found.get("encoder")), round(rate, 3) if isinstance(rate, float) and 0 < rate < _MOST_RATE else 0.0)


def name(value: Value) -> str:
    """An encoder's name as it may be shown: one line, bounded; empty when *value* is none."""
    if not isinstance(value, str):
        return ""
    return "".join(character for character in value[:MAX_NAME] if character.isprintable()).strip()
