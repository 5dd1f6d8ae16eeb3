"""When windows leave: at once after a quiet moment, and never so often that flushing is all the loop does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fanout.rhythm import COUNT_MAX_S, POSTS_STRETCH, SAVED, STORM_STRETCH, STRETCH, Rhythm


def _flushed(rhythm: Rhythm, began: float, took: float, *, storm: bool = False, left_over: bool = False) -> None:
    rhythm.last = began
    if storm:
        rhythm.arrive()
    rhythm.flushed(began + took, 0.05, viewers=0 if storm else 100, left_over=left_over)


def test_a_quiet_stream_waits_for_nothing() -> None:
    """The first windows leave at once, as many as are saved; those after them an interval apart, until it was quiet again."""
    rhythm = Rhythm(0.05, 0.25)
    now = 100.0
    for _ in range(1 + SAVED):
        assert rhythm.wait(now) == 0
        _flushed(rhythm, now, 0.001)
        now += 0.002
    assert now + rhythm.wait(now) == pytest.approx(100.05)

    _flushed(rhythm, 100.05, 0.001)
    assert 100.06 + rhythm.wait(100.06) == pytest.approx(100.1)
    assert rhythm.wait(100.051 + SAVED * 0.05) == 0


def test_a_saved_window_leaves_the_loop_its_room() -> None:
    """One right after another waits as long as the other's cost asks."""
    rhythm = Rhythm(0.05, 0.25)
    _flushed(rhythm, 0.0, 0.01)
    assert rhythm.wait(0.01) == pytest.approx(0.01 * STRETCH - 0.01)


@given(
    flushes=st.lists(st.tuples(st.floats(0, 0.2), st.floats(0, 0.3), st.booleans(), st.booleans()), max_size=60),
    hurried=st.sets(st.integers(0, 59)),
)
def test_windows_are_an_interval_apart_but_for_what_was_saved(
    flushes: list[tuple[float, float, bool, bool]], hurried: set[int]
) -> None:
    """Nobody waits longer than an interval from the last flush, and cheap windows are never more than was saved above it."""
    rhythm = Rhythm(0.05, 0.25)
    now = 1000.0
    cheap: list[float] = []
    for n, (quiet, took, storm, left_over) in enumerate(flushes):
        if n in hurried:
            rhythm.hurry()
        now += max(quiet, rhythm.wait(now))
        _flushed(rhythm, now, took, storm=storm, left_over=left_over)
        assert now + took + rhythm.wait(now + took) <= now + max(took, rhythm.interval, 0.05) + 1e-9
        unusual = n in hurried or left_over or took * STORM_STRETCH > 0.05
        cheap = [] if unusual else [*cheap, now]
        for k, began in enumerate(cheap):
            assert len(cheap) - k <= (now - began) / 0.05 + 1 + SAVED + 1e-6
        now += took


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


@pytest.mark.parametrize(("arrived", "stretch"), [(40, STRETCH), (60, STORM_STRETCH)])
def test_a_storm_is_a_share_of_the_viewers_in_a_second(arrived: int, stretch: float) -> None:
    """Five in a hundred: fewer are the coming and going of every stream."""
    rhythm = Rhythm(0.001, 10.0)
    _flushed(rhythm, 9.0, 0.1)
    rhythm.last = 10.0
    for _ in range(arrived):
        rhythm.arrive()
    rhythm.flushed(10.1, 0.001, viewers=1000, left_over=False)
    assert rhythm.interval == pytest.approx(0.1 * stretch)


def test_dear_flushes_are_further_apart_while_people_post() -> None:
    """The next one waits for the posts in work in any case; a storm comes first."""
    rhythm = Rhythm(0.001, 10)
    rhythm.last = 10.0
    rhythm.flushed(10.1, 0.001, viewers=1000, left_over=False, posts=True)
    assert rhythm.interval == pytest.approx(0.1 * POSTS_STRETCH)
    for _ in range(1000):
        rhythm.arrive()
    rhythm.last = 11.0
    rhythm.flushed(11.1, 0.001, viewers=1000, left_over=False, posts=True)
    assert rhythm.interval == pytest.approx(0.1 * STORM_STRETCH)
