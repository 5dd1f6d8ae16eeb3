"""Samples to one CMAF chunk: a moof that describes them and an mdat that holds them."""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from workers.media.cmaf.boxes import box, full_box

#: ISO 14496-12, 8.8.3.1: depends on no other; depends on others and is no sync sample.
_SYNC, _DEPENDS = 0x02000000, 0x01010000
_BASE_IS_MOOF = 0x020000
#: Data offset, then per sample duration, size, flags and composition offset.
_RUN = 0x000001 | 0x000100 | 0x000200 | 0x000400 | 0x000800
_OFFSET_AT = 16


class Sample(NamedTuple):
    """One picture or frame of sound: *decode* and *duration* in its track's ticks, shown *shift* ticks after *decode*."""

    decode: int
    duration: int
    shift: int
    key: bool
    data: bytes


def fragment(sequence: int, tracks: Sequence[tuple[int, Sequence[Sample]]]) -> bytes:
    """One chunk of the samples of each track (by number); tracks without samples are left out."""
    filled = [(number, samples) for number, samples in tracks if samples]
    runs = [_run(samples) for _, samples in filled]
    shells = [_shell(number, samples) for number, samples in filled]
    # moof: its header, mfhd (16), and per track a traf around tfhd, tfdt and trun.
    size = 8 + 16 + sum(8 + len(shell) + len(run) for shell, run in zip(shells, runs, strict=True))
    at = size + 8
    trafs = []
    for (_, samples), shell, run in zip(filled, shells, runs, strict=True):
        placed = run[:_OFFSET_AT] + struct.pack(">i", at) + run[_OFFSET_AT + 4 :]
        trafs.append(box(b"traf", shell, placed))
        at += sum(len(sample.data) for sample in samples)
    moof = box(b"moof", full_box(b"mfhd", 0, 0, struct.pack(">I", sequence & 0xFFFFFFFF)), *trafs)
    return moof + box(b"mdat", *(sample.data for _, samples in filled for sample in samples))


def _shell(number: int, samples: Sequence[Sample]) -> bytes:
    header = full_box(b"tfhd", 0, _BASE_IS_MOOF, struct.pack(">I", number))
    return header + full_box(b"tfdt", 1, 0, struct.pack(">Q", samples[0].decode))


def _run(samples: Sequence[Sample]) -> bytes:
    rows = [
        struct.pack(">IIIi", each.duration, len(each.data), _SYNC if each.key else _DEPENDS, each.shift) for each in samples
    ]
    return full_box(b"trun", 1, _RUN, struct.pack(">Ii", len(samples), 0), *rows)
