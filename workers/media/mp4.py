"""As much of ISO 14496-12 as must be read of ffmpeg's fragmented MP4: boxes, tracks of `moov`, samples of `moof`.

Everything comes from our own ffmpeg and still is checked: what does not fit raises `BadMp4`, which restarts it.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

#: A fragment is about half a second: 64 MB of it would be a gigabit per second.
MAX_BOX = 64 * 1024 * 1024
_NOT_SYNC = 0x10000


class BadMp4(Exception):
    """The bytes are no MP4 as ffmpeg writes it."""


class Box(NamedTuple):
    """One whole top-level box: its four-letter *type* and all its bytes, header included."""

    type: bytes
    data: bytes


class Track(NamedTuple):
    """One track of an initialisation segment; *width* and *height* are 0 for audio, *codec* is as in RFC 6381."""

    number: int
    kind: str
    timescale: int
    codec: str
    width: int
    height: int


class Run(NamedTuple):
    """The samples of one track in one fragment: *start* and *duration* in seconds of media time."""

    track: int
    start: float
    duration: float
    samples: int
    starts_sync: bool


class BoxReader:
    """Bytes to top-level boxes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Box]:
        """Take *data* and yield the boxes that are whole.

        Raises:
            BadMp4: a box is larger than `MAX_BOX` or has an impossible size.
        """
        self._buffer += data
        while len(self._buffer) >= 8:
            size = int.from_bytes(self._buffer[:4], "big")
            if not 8 <= size <= MAX_BOX:
                msg = f"box of {size} bytes"
                raise BadMp4(msg)
            if len(self._buffer) < size:
                return
            box = Box(bytes(self._buffer[4:8]), bytes(self._buffer[:size]))
            del self._buffer[:size]
            yield box


def tracks(moov: bytes) -> dict[int, Track]:
    """The audio and video tracks of a `moov` box, by number.

    Raises:
        BadMp4: it cannot be read.
    """
    try:
        found = [_track(body) for kind, body in _children(moov[8:]) if kind == b"trak"]
    except (IndexError, struct.error, StopIteration) as error:
        msg = "unreadable moov"
        raise BadMp4(msg) from error
    return {track.number: track for track in found}


def runs(moof: bytes, known: dict[int, Track]) -> list[Run]:
    """The samples a `moof` box describes, one entry per track that has any.

    Raises:
        BadMp4: it cannot be read, or names a track that is not *known*.
    """
    try:
        found = [_traf(body, known) for kind, body in _children(moof[8:]) if kind == b"traf"]
    except (IndexError, KeyError, struct.error) as error:
        msg = "unreadable moof"
        raise BadMp4(msg) from error
    return [run for run in found if run.samples]


def _children(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        if size < 8 or at + size > len(body):
            msg = f"box of {size} bytes inside {len(body)}"
            raise BadMp4(msg)
        yield body[at + 4 : at + 8], body[at + 8 : at + size]
        at += size


def _child(body: bytes, *path: bytes) -> bytes:
    for name in path:
        body = next(inner for kind, inner in _children(body) if kind == name)
    return body


def _track(trak: bytes) -> Track:
    header = _child(trak, b"tkhd")
    number = int.from_bytes(header[20:24] if header[0] else header[12:16], "big")
    media = _child(trak, b"mdia", b"mdhd")
    timescale = int.from_bytes(media[20:24] if media[0] else media[12:16], "big")
    kind = {b"vide": "video", b"soun": "audio"}.get(_child(trak, b"mdia", b"hdlr")[8:12], "other")
    entry, sample = next(_children(_child(trak, b"mdia", b"minf", b"stbl", b"stsd")[8:]))
    if kind == "video" and entry == b"avc1":
        width, height = struct.unpack(">HH", sample[24:28])
        profile = _child(sample[78:], b"avcC")[1:4]
        return Track(number, kind, timescale, f"avc1.{profile.hex()}", width, height)
    if kind == "audio" and entry == b"mp4a":
        return Track(number, kind, timescale, f"mp4a.40.{_object_type(_child(sample[28:], b'esds'))}", 0, 0)
    msg = f"a {kind} track of {entry!r}"
    raise BadMp4(msg)


def _object_type(esds: bytes) -> int:
    """The audio object type: the first five bits of the DecoderSpecificInfo (descriptor tag 5; ISO 14496-1)."""
    at = 4
    while at < len(esds):
        tag, size, at = esds[at], 0, at + 1
        while True:
            byte, at = esds[at], at + 1
            size = size << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        match tag:
            case 3:
                at += 3
            case 4:
                at += 13
            case 5:
                return esds[at] >> 3
            case _:
                at += size
    msg = "no DecoderSpecificInfo"
    raise BadMp4(msg)


def _traf(traf: bytes, known: dict[int, Track]) -> Run:
    boxes = dict(_children(traf))
    header, decode_time, trun = boxes[b"tfhd"], boxes[b"tfdt"], boxes.get(b"trun", bytes(8))
    flags = int.from_bytes(header[1:4], "big")
    track = known[int.from_bytes(header[4:8], "big")]
    at = 8 + (8 if flags & 0x01 else 0) + (4 if flags & 0x02 else 0)
    default_duration = int.from_bytes(header[at : at + 4], "big") if flags & 0x08 else 0
    at += (4 if flags & 0x08 else 0) + (4 if flags & 0x10 else 0)
    default_flags = int.from_bytes(header[at : at + 4], "big") if flags & 0x20 else 0
    start = int.from_bytes(decode_time[4:12] if decode_time[0] else decode_time[4:8], "big")
    count, duration, first_flags, first_shift = _trun(trun, default_duration, default_flags)
    scale = track.timescale
    return Run(track.number, (start + first_shift) / scale, duration / scale, count, not first_flags & _NOT_SYNC)


def _trun(trun: bytes, default_duration: int, default_flags: int) -> tuple[int, int, int, int]:
    """Sample count, total duration, the first sample's flags, and how much later than decoded it is presented."""
    flags = int.from_bytes(trun[1:4], "big")
    count = int.from_bytes(trun[4:8], "big")
    at = 8 + (4 if flags & 0x01 else 0)
    first_flags, first_shift = default_flags, 0
    if flags & 0x04:
        first_flags = int.from_bytes(trun[at : at + 4], "big")
        at += 4
    if not flags & 0xF00:
        return count, count * default_duration, first_flags, 0
    duration = 0
    for index in range(count):
        duration += int.from_bytes(trun[at : at + 4], "big") if flags & 0x100 else default_duration
        at += (4 if flags & 0x100 else 0) + (4 if flags & 0x200 else 0)
        if flags & 0x400:
            first_flags = int.from_bytes(trun[at : at + 4], "big") if index == 0 else first_flags
            at += 4
        if flags & 0x800:
            first_shift = struct.unpack(">i", trun[at : at + 4])[0] if index == 0 else first_shift
            at += 4
    return count, duration, first_flags, first_shift
