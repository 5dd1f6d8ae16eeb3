"""The small parts: restarts, transcoding slots, command lines, reading MP4."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media.command import rung_height
from workers.media.mp4 import MAX_BOX, BadMp4, Box, BoxReader, Track, runs, tracks
from workers.media.patience import MOST_S, WELL_S, Patience
from workers.media.slots import Slots


def test_restarts_wait_longer_each_time_and_end() -> None:
    """Doubling, bounded in length and in number; a run that lived long counts as new."""
    patience = Patience(7)
    assert [patience.delay(0.1) for _ in range(8)] == [0.25, 0.5, 1.0, 2.0, 4.0, MOST_S, MOST_S, None]

    patience = Patience(2)
    assert [patience.delay(WELL_S) for _ in range(5)] == [0.25] * 5


def test_transcodes_are_bounded() -> None:
    """What was given back can be taken again."""
    slots = Slots(1)
    assert [slots.take(), slots.take()] == [True, False]
    slots.give()
    assert slots.take()


@pytest.mark.parametrize(
    ("source", "wanted", "height"),
    [(1080, 360, 360), (720, 480, 480), (360, 360, 240), (180, 360, 144), (144, 360, None), (720, 0, None), (0, 360, None)],
)
def test_what_is_transcoded_to(source: int, wanted: int, height: int | None) -> None:
    """Always below the source, never up."""
    assert rung_height(source, wanted) == height


def box(kind: bytes, body: bytes) -> bytes:
    """One MP4 box."""
    return (len(body) + 8).to_bytes(4, "big") + kind + body


@given(st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 20))
def test_boxes_however_they_are_split(bodies: list[bytes], size: int) -> None:
    """The same boxes come out of any pieces."""
    raw = b"".join(box(b"mdat", body) for body in bodies)
    reader = BoxReader()

    assert [Box(b"mdat", box(b"mdat", body)) for body in bodies] == [
        found for at in range(0, len(raw), size) for found in reader.feed(raw[at : at + size])
    ]


@pytest.mark.parametrize("size", [0, 1, 7, MAX_BOX + 1])
def test_impossible_boxes_are_refused(size: int) -> None:
    """Before anything is waited for."""
    with pytest.raises(BadMp4):
        list(BoxReader().feed(size.to_bytes(4, "big") + b"moof"))


@given(st.binary(max_size=120))
def test_rubbish_raises_bad_mp4_only(body: bytes) -> None:
    """Whatever ffmpeg wrote, it is read or refused."""
    with contextlib.suppress(BadMp4):
        tracks(box(b"moov", box(b"trak", box(b"tkhd", body))))
    with contextlib.suppress(BadMp4):
        runs(box(b"moof", box(b"traf", box(b"tfhd", body))), {1: Track(1, "video", 1000, "avc1", 1, 1)})


def test_a_fragment_with_every_optional_field() -> None:
    """Sample durations, sizes, flags and shifts of their own; a second sample that is no keyframe; 64-bit decode time."""
    header = box(b"tfhd", b"\0\x02\0\x38" + (1).to_bytes(4, "big") + bytes(8) + (0x1010000).to_bytes(4, "big"))
    time = box(b"tfdt", b"\1\0\0\0" + (17_000_000).to_bytes(8, "big"))
    samples = b"".join(each.to_bytes(4, "big", signed=True) for each in (30, 9, 0x2000000, 66, 40, 9, 0x1010000, -10))
    found = runs(
        box(b"moof", box(b"traf", header + time + box(b"trun", b"\1\0\x0f\1" + (2).to_bytes(4, "big") + bytes(4) + samples))),
        {1: Track(1, "video", 1000, "avc1", 1, 1)},
    )
    assert [(run.start, run.duration, run.samples, run.starts_sync) for run in found] == [(17_000.066, 0.07, 2, True)]
