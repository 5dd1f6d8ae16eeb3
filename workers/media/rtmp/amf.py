"""AMF0 (Adobe, "Action Message Format -- AMF 0"), as far as RTMP commands and metadata need it.

Bounded because a peer sends it before it has shown a key: at most `MAX_DEPTH` containers inside each other and
`MAX_VALUES` values in one message.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from workers.media.rtmp.errors import ProtocolError

MAX_DEPTH = 16
MAX_VALUES = 2048

Value: TypeAlias = bool | float | str | Sequence["Value"] | Mapping[str, "Value"] | None

NUMBER, BOOLEAN, STRING, OBJECT = 0x00, 0x01, 0x02, 0x03
NULL, UNDEFINED, ECMA_ARRAY, OBJECT_END = 0x05, 0x06, 0x08, 0x09
STRICT_ARRAY, DATE, LONG_STRING = 0x0A, 0x0B, 0x0C


class AmfError(ProtocolError):
    """The bytes are no AMF0, or more of it than is taken."""


def decode(data: bytes) -> list[Value]:
    """Read all values of *data*.

    Raises:
        AmfError: cut short, an unknown type, too deep or too many values.
    """
    reader = _Reader(data)
    values: list[Value] = []
    while not reader.at_end():
        values.append(reader.value(0))
    return values


def encode(*values: Value) -> bytes:
    """Write *values* one after the other; numbers as doubles, mappings as objects."""
    out = bytearray()
    for value in values:
        _write(out, value)
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._count = 0

    def at_end(self) -> bool:
        return self._at >= len(self._data)

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            msg = f"AMF0 value cut short: {size} bytes wanted, {len(self._data) - self._at} left"
            raise AmfError(msg)
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def _text(self, size: int) -> str:
        # Encoders in the field send titles in local code pages; a wrong letter in metadata must not end a broadcast.
        return self._take(size).decode("utf-8", "replace")

    def value(self, depth: int) -> Value:
        self._count += 1
        if self._count > MAX_VALUES:
            msg = f"more than {MAX_VALUES} AMF0 values in one message"
            raise AmfError(msg)
        if depth > MAX_DEPTH:
            msg = f"AMF0 nested more than {MAX_DEPTH} deep"
            raise AmfError(msg)
        marker = self._take(1)[0]
        if marker in (OBJECT, ECMA_ARRAY, STRICT_ARRAY):
            return self._container(marker, depth + 1)
        return self._scalar(marker)

    def _scalar(self, marker: int) -> Value:
        match marker:
            case 0x00:
                return float(struct.unpack(">d", self._take(8))[0])
            case 0x01:
                return self._take(1) != b"\0"
            case 0x02:
                return self._text(int.from_bytes(self._take(2), "big"))
            case 0x0C:
                return self._text(int.from_bytes(self._take(4), "big"))
            case 0x05 | 0x06:
                return None
            case 0x0B:
                return float(struct.unpack(">d2x", self._take(10))[0])
            case _:
                msg = f"AMF0 type 0x{marker:02x} is not known here"
                raise AmfError(msg)

    def _container(self, marker: int, depth: int) -> Value:
        if marker == STRICT_ARRAY:
            length = int.from_bytes(self._take(4), "big")
            if length > MAX_VALUES:
                msg = f"AMF0 array of {length} values; at most {MAX_VALUES} are taken"
                raise AmfError(msg)
            return [self.value(depth) for _ in range(length)]
        if marker == ECMA_ARRAY:
            # The count is only a hint (encoders send 0 or one too many); the end marker counts.
            self._take(4)
        pairs: dict[str, Value] = {}
        while True:
            name = self._text(int.from_bytes(self._take(2), "big"))
            if not name and self._data[self._at : self._at + 1] == bytes([OBJECT_END]):
                self._at += 1
                return pairs
            pairs[name] = self.value(depth)


def _write(out: bytearray, value: Value) -> None:
    if value is None:
        out.append(NULL)
    elif isinstance(value, bool):
        out += bytes((BOOLEAN, value))
    elif isinstance(value, (int, float)):
        out += struct.pack(">Bd", NUMBER, value)
    elif isinstance(value, str):
        raw = value.encode()
        long = len(raw) > 0xFFFF
        out += struct.pack(">BI" if long else ">BH", LONG_STRING if long else STRING, len(raw)) + raw
    elif isinstance(value, Mapping):
        out.append(OBJECT)
        for name, item in value.items():
            raw = name.encode()
            out += struct.pack(">H", len(raw)) + raw
            _write(out, item)
        out += bytes((0, 0, OBJECT_END))
    else:
        out += struct.pack(">BI", STRICT_ARRAY, len(value))
        for item in value:
            _write(out, item)
