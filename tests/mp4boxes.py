"""An independent reader of fragmented MP4, for what our own writer made."""

import struct
from collections.abc import Iterator
from typing import NamedTuple


class ReadSample(NamedTuple):
    """One sample as a player finds it: times in its track's ticks."""

    decode: int
    duration: int
    shift: int
    sync: bool
    data: bytes


def boxes(data: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    """Type, place and body of each box; the sizes have to fit exactly."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        assert 8 <= size <= len(data) - at
        yield data[at + 4 : at + 8], at, data[at + 8 : at + size]
        at += size


def child(data: bytes, *path: bytes) -> bytes:
    """The body of the box that lies at *path*."""
    for name in path:
        data = next(body for kind, _, body in boxes(data) if kind == name)
    return data


def samples(chunk: bytes) -> dict[int, list[ReadSample]]:
    """The samples of one moof and mdat, by track."""
    found: dict[int, list[ReadSample]] = {}
    kinds = [kind for kind, _, _ in boxes(chunk)]
    assert kinds == [b"moof", b"mdat"]
    for kind, _, body in boxes(child(chunk, b"moof")):
        if kind != b"traf":
            continue
        track = int.from_bytes(child(body, b"tfhd")[4:8], "big")
        decode = int.from_bytes(child(body, b"tfdt")[4:12], "big")
        run = child(body, b"trun")
        count, offset = struct.unpack(">Ii", run[4:12])
        found[track] = []
        for index in range(count):
            duration, size, flags, shift = struct.unpack(">IIIi", run[12 + 16 * index : 28 + 16 * index])
            found[track].append(ReadSample(decode, duration, shift, not flags & 0x10000, chunk[offset : offset + size]))
            decode += duration
            offset += size
    return found
