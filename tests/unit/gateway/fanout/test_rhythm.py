"""When windows leave: at once after a quiet moment, and never so often that flushing is all the loop does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fanout.rhythm import COUNT_MAX_S, STORM_STRETCH, STRETCH, Rhythm


def _flushed(rhythm: Rhythm, began: float, took: float, *, storm: bool = False, left_over: bool = False) -> None:
    rhythm.last = began
    rhythm.flushed(began + took, 0.05, storm=storm, left_over=left_over)


def test_a_quiet_stream_waits_for_nothing() -> None:
    """The first window leaves at once, and so does one that comes an interval after the last."""
    rhythm = Rhythm(0.05, 0.25)
    assert rhythm.wait(100.0) == 0

    _flushed(rhythm, 100.0, 0.001)
    assert (round(rhythm.wait(100.01), 3), rhythm.wait(100.05)) == (0.04, 0)


def test_dear_flushes_are_further_apart() -> None:
    """As far as their share of the loop asks, more in a storm, and never more than the longest interval."""
    rhythm = Rhythm(0.05, 0.25)

    _flushed(rhythm, 0.0, 0.1)
    assert rhythm.interval == pytest.approx(0.1 * STRETCH)
    _flushed(rhythm, 1.0, 0.05, storm=True)
    assert rhythm.interval == pytest.approx(0.05 * STORM_STRETCH)
    _flushed(rhythm, 2.0, 0.9)
    assert rhythm.interval == 0.25


def test_who_is_behind_does_not_wait() -> None:
    """What did not fit into a window follows it at once."""
    rhythm = Rhythm(0.05, 0.25)
    _flushed(rhythm, 0.0, 0.1, left_over=True)
    assert rhythm.wait(0.1) == 0


@given(took=st.floats(0, 10))
def test_counts_alone_leave_the_loop_room_and_stay_within_their_second(took: float) -> None:
    """A telling that takes long is followed by a pause several times as long, but by no more than `COUNT_MAX_S`."""
    rhythm = Rhythm(0.05, 0.25)
    _flushed(rhythm, 0.0, took)

    wait = rhythm.count_wait(0.0)

    assert wait <= COUNT_MAX_S
    assert wait >= min(5 * took, COUNT_MAX_S)
