"""One clock out of numbers modulo 2^32."""

from hypothesis import given
from hypothesis import strategies as st

from workers.media.rtmp.stamps import JITTER_MS, Stamps

AUDIO, VIDEO = 8, 9


def test_the_edge_is_crossed() -> None:
    """Nothing happens where 2^32 ms are over, nor when sound is still before it while pictures are past it."""
    stamps = Stamps()
    assert [stamps.take(kind, raw) for kind, raw in [(9, 2**32 - 20), (8, 2**32 - 10), (9, 13), (8, 2**32 - 1), (8, 20)]] == [
        *(2**32 - 20, 2**32 - 10, 2**32 + 13, 2**32 - 1, 2**32 + 20)
    ]


def test_small_steps_back_stand_still_and_large_ones_are_told() -> None:
    """Rounding is ironed out within a kind; a clock set anew is for others to see."""
    stamps = Stamps()
    assert [stamps.take(VIDEO, raw) for raw in (5000, 4999, 4000, 5010)] == [5000, 5000, 5000, 5010]
    assert stamps.take(AUDIO, 4900) == 4900
    assert stamps.take(VIDEO, 5010 - JITTER_MS - 1) == 5010 - JITTER_MS - 1
    assert stamps.take(VIDEO, 5010 - JITTER_MS) == 5010 - JITTER_MS


@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.sampled_from([8, 9]), st.integers(-2000, 100_000)), max_size=60))
def test_what_comes_out_is_what_went_in_modulo_the_edge(start: int, steps: list[tuple[int, int]]) -> None:
    """Whatever the steps, times are off by a small step back at most, and never lose a turn of the counter."""
    stamps, clock = Stamps(), start
    stamps.take(9, start)
    for kind, step in steps:
        clock += step
        found = stamps.take(kind, clock & 0xFFFFFFFF)
        assert 0 <= found - max(clock, 0) <= JITTER_MS
