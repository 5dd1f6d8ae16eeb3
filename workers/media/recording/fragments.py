"""What our own writer made, read back: how long the parts of a file last, where the last whole one ends, its first keyframe."""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from workers.media.cmaf.fragment import Sample, fragment
from workers.media.cmaf.setup import PICTURES

#: A moof describes the samples of one part; one of a megabyte would have 60,000 of them.
_MOST_MOOF = 1024**2
_ROW = struct.Struct(">IIIi")
#: ISO 14496-12, 8.8.3.1: sample_is_non_sync_sample.
_NOT_SYNC = 0x10000


class Run(NamedTuple):
    """The samples of one track in one part: (ticks, bytes, flags, shown later by) each, and where they begin."""

    offset: int
    samples: list[tuple[int, int, int, int]]

    @property
    def ticks(self) -> int:
        """What they last together."""
        return sum(sample[0] for sample in self.samples)


class Part(NamedTuple):
    """One moof with its mdat: where it begins and ends in the file, and its runs by track."""

    start: int
    end: int
    runs: dict[int, Run]


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each whole box."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8 or at + size > len(data):
            return
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def child(data: bytes, *path: bytes) -> bytes | None:
    """The body of the first box that lies at *path*."""
    for name in path:
        found = next((body for kind, body in boxes(data) if kind == name), None)
        if found is None:
            return None
        data = found
    return data


def parts(file: BinaryIO, size: int) -> Iterator[Part]:
    """The whole parts of a file of *size* bytes, up to the first that is not; only their descriptions are read."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(8)
        moof_size = int.from_bytes(head[:4], "big")
        if head[4:8] != b"moof" or not 8 <= moof_size <= _MOST_MOOF:
            return
        moof, head = file.read(moof_size - 8), file.read(8)
        end = start + moof_size + int.from_bytes(head[:4], "big")
        if head[4:8] != b"mdat" or end > size or end < start + moof_size + 8:
            return
        yield Part(start, end, _runs(moof))
        start = end


def _runs(moof: bytes) -> dict[int, Run]:
    found = {}
    for kind, body in boxes(moof):
        track, run = child(body, b"tfhd"), child(body, b"trun")
        if kind == b"traf" and track is not None and run is not None:
            count, offset = struct.unpack(">Ii", run[4:12])
            rows = run[12 : 12 + count * _ROW.size]
            found[int.from_bytes(track[4:8], "big")] = Run(offset, list(_ROW.iter_unpack(rows)))
    return found


def lasts_ms(part: Part, scales: dict[int, int]) -> int:
    """How long a part lasts: its pictures', where it has any; *scales* are ticks per second by track."""
    track = PICTURES if PICTURES in scales else next(iter(scales), PICTURES)
    run = part.runs.get(track)
    return round(run.ticks * 1000 / scales[track]) if run is not None and track in scales else 0


def keyframe(data: bytes, number: int) -> bytes | None:
    """The first picture of a segment as a part of its own, shown in second *number*; `None` where it is no keyframe.

    *data* needs to hold no more than the segment's beginning.
    """
    size = int.from_bytes(data[:4], "big")
    run = _runs(data[8:size]).get(PICTURES) if data[4:8] == b"moof" and size <= len(data) else None
    if run is None or not run.samples or run.samples[0][2] & _NOT_SYNC:
        return None
    end = run.offset + run.samples[0][1]
    if end > len(data):
        return None
    picture = Sample(number * 1000, 1000, 0, key=True, data=data[run.offset : end])
    return fragment(number + 1, ((PICTURES, [picture]),))


def needed(data: bytes) -> int:
    """How many of a segment's first bytes `keyframe` needs; *data* is its beginning, with the whole first moof."""
    size = int.from_bytes(data[:4], "big")
    run = _runs(data[8:size]).get(PICTURES)
    return run.offset + run.samples[0][1] if run is not None and run.samples else size


def pictures(data: bytes) -> int:
    """How many pictures the whole parts in *data* have."""
    return sum(len(part.runs[PICTURES].samples) for part in parts(io.BytesIO(data), len(data)) if PICTURES in part.runs)
