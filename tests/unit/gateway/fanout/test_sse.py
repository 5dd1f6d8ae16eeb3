"""Frames: what a client's parser makes of them, plain and deflated."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from gateway.fanout import deflate, sse
from tests.viewer import SseParser


def test_comments_carry_their_to_as_id() -> None:
    """The id equals `to`, and the range begins after `prev`."""
    [event] = SseParser().feed(sse.comments(5, 9, [b'{"seq":7}']))

    assert (event.id, event.name) == ("9", "comments")
    assert event.data == {"prev": 5, "from": 6, "to": 9, "backfill": False, "items": [{"seq": 7}]}


def test_no_other_event_carries_an_id() -> None:
    """A control event with an id would move the client's position past what it has not seen."""
    frames = sse.gap(1, 2, "expired") + sse.event("viewers", {"count": 1}) + sse.retry(5) + sse.HEARTBEAT
    events = SseParser().feed(frames)

    assert [(event.name, event.id) for event in events] == [("gap", None), ("viewers", None)]


def test_an_empty_range_is_well_formed() -> None:
    """Nothing said yet: from does not exceed to."""
    [event] = SseParser().feed(sse.comments(0, 0, [], backfill=True))

    assert tuple(event.data[name] for name in ("prev", "from", "to", "backfill", "items")) == (0, 0, 0, True, [])


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8), st.data())
def test_deflated_frames_stand_alone(frames: list[bytes], data: st.DataObject) -> None:
    """Any run of deflated frames after the header decodes to exactly those frames: joining and skipping are safe."""
    first = data.draw(st.integers(0, len(frames) - 1))
    skipped = data.draw(st.sets(st.integers(0, len(frames) - 1)))
    kept = [frame for n, frame in enumerate(frames) if n >= first and n not in skipped]
    unzip = zlib.decompressobj(31)
    decoded = unzip.decompress(deflate.GZIP_HEADER + b"".join(deflate.packed(frame) for frame in kept))

    assert b"".join(kept) == decoded
