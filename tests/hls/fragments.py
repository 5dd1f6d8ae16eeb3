"""The few boxes of fragmented MP4 that say when samples are shown and whether they stand alone (ISO/IEC 14496-12)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Track:
    """What an initialisation says of a track."""

    kind: str = ""
    timescale: int = 1
    duration: int = 0
    flags: int = 0


@dataclass
class Run:
    """One track's samples in a part or segment: decode times in ticks, and whether the first is a sync sample."""

    track: int
    begins: int
    ends: int
    first_is_sync: bool
    samples: int


@dataclass
class Tracks:
    """An initialisation."""

    by_id: dict[int, Track] = field(default_factory=dict)

    @property
    def leading(self) -> int:
        """The track whose times the playlist gives: pictures, else sound."""
        kinds = {track.kind: number for number, track in self.by_id.items()}
        return kinds.get("vide") or kinds.get("soun") or 0


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[str, int, int]]:
    """Type, begin and end of the content of each box.

    Raises:
        ValueError: it is cut short.
    """
    end = len(data) if end is None else end
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        if size < head or start + size > end:
            msg = f"a box of {size} bytes at {start} of {end}"
            raise ValueError(msg)
        yield kind.decode("latin-1"), start + head, start + size
        start += size


def _inside(data: bytes, path: tuple[str, ...], start: int, end: int) -> Iterator[tuple[int, int]]:
    for kind, begin, stop in boxes(data, start, end):
        if kind == path[0]:
            if len(path) == 1:
                yield begin, stop
            else:
                yield from _inside(data, path[1:], begin, stop)


def tracks(init: bytes) -> Tracks:
    """Read an initialisation."""
    found = Tracks()
    for begin, end in _inside(init, ("moov", "trak"), 0, len(init)):
        track = Track()
        ((at, _),) = _inside(init, ("tkhd",), begin, end)
        number = struct.unpack_from(">I", init, at + (20 if init[at] else 12))[0]
        ((at, _),) = _inside(init, ("mdia", "mdhd"), begin, end)
        track.timescale = struct.unpack_from(">I", init, at + (20 if init[at] else 12))[0]
        ((at, _),) = _inside(init, ("mdia", "hdlr"), begin, end)
        track.kind = init[at + 8 : at + 12].decode()
        found.by_id[number] = track
    for at, _ in _inside(init, ("moov", "mvex", "trex"), 0, len(init)):
        number, _, duration, _, flags = struct.unpack_from(">5I", init, at + 4)
        found.by_id[number].duration, found.by_id[number].flags = duration, flags
    return found


def runs(data: bytes, init: Tracks) -> list[Run]:
    """The runs of a part or segment, in order."""
    return [
        _run(data, init, begin, end)
        for moof, moof_end in _inside(data, ("moof",), 0, len(data))
        for begin, end in _inside(data, ("traf",), moof, moof_end)
    ]


def _run(data: bytes, init: Tracks, begin: int, end: int) -> Run:
    ((at, _),) = _inside(data, ("tfhd",), begin, end)
    flags, number = struct.unpack_from(">II", data, at)
    flags &= 0xFFFFFF
    at += 8 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    duration, sample_flags = init.by_id[number].duration, init.by_id[number].flags
    if flags & 8:
        duration, at = struct.unpack_from(">I", data, at)[0], at + 4
    at += 4 if flags & 0x10 else 0
    if flags & 0x20:
        sample_flags = struct.unpack_from(">I", data, at)[0]
    ((at, _),) = _inside(data, ("tfdt",), begin, end)
    starts = struct.unpack_from(">Q" if data[at] else ">I", data, at + 4)[0]
    total, count, first = 0, 0, sample_flags
    for at, _ in _inside(data, ("trun",), begin, end):
        lasts, samples, flags_of_first = _samples(data, at, duration, sample_flags)
        first = flags_of_first if count == 0 else first
        total, count = total + lasts, count + samples
    # sample_is_non_sync_sample is the 17th bit.
    return Run(number, starts, starts + total, not first & 0x10000, count)


def _samples(data: bytes, at: int, duration: int, sample_flags: int) -> tuple[int, int, int]:
    flags, count = struct.unpack_from(">II", data, at)
    flags &= 0xFFFFFF
    at += 8 + (4 if flags & 1 else 0)
    first = sample_flags
    if flags & 4:
        first, at = struct.unpack_from(">I", data, at)[0], at + 4
    total = 0
    for n in range(count):
        lasts = duration
        if flags & 0x100:
            lasts, at = struct.unpack_from(">I", data, at)[0], at + 4
        at += 4 if flags & 0x200 else 0
        if flags & 0x400:
            if n == 0 and not flags & 4:
                first = struct.unpack_from(">I", data, at)[0]
            at += 4
        at += 4 if flags & 0x800 else 0
        total += lasts
    return total, count, first
