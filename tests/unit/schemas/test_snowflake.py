"""Comment ids: unique, increasing, readable, and never from the past."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.snowflake import EPOCH_MS, ClockBehind, Snowflake, SnowflakeSequence, parse_snowflake

NOW = EPOCH_MS + 90_000_000_000


@given(st.integers(EPOCH_MS, EPOCH_MS + 2**41 - 1), st.integers(0, 1023), st.integers(0, 4095))
def test_an_id_reads_as_it_was_made(ms: int, machine: int, sequence: int) -> None:
    """41 bits of milliseconds, 10 of machine, 12 of sequence, in decimal, within 63 bits."""
    made = Snowflake(ms, machine, sequence)

    assert made == parse_snowflake(str(made))
    assert int(str(made)) < 2**63


@pytest.mark.parametrize("text", ["", "-1", "01", "1.0", "x", "9" * 20, str(2**63), "٣", " 1"])
def test_what_is_no_id_is_refused(text: str) -> None:
    """Only the canonical decimal form is an id."""
    with pytest.raises(ValueError, match="no comment id"):
        parse_snowflake(text)


def test_a_millisecond_has_4096_ids_and_no_more() -> None:
    """The next one waits for the next millisecond."""
    sequence = SnowflakeSequence(7, NOW - 1)
    ids = [int(str(sequence.stamp(NOW))) for _ in range(4096)]

    assert sorted(set(ids)) == ids
    with pytest.raises(ClockBehind) as full:
        sequence.stamp(NOW)
    assert full.value.wait_ms == 1


def test_a_clock_that_steps_back_gets_no_id() -> None:
    """It is told how long to wait; after that ids go on above the old ones."""
    sequence = SnowflakeSequence(7, NOW - 1)
    last = int(str(sequence.stamp(NOW)))
    with pytest.raises(ClockBehind) as behind:
        sequence.stamp(NOW - 50)

    assert behind.value.wait_ms == 50
    assert int(str(sequence.stamp(NOW + 1))) > last


def test_a_successor_starts_above_its_predecessor() -> None:
    """Nothing is stamped in a millisecond that the number's former holder may have used."""
    sequence = SnowflakeSequence(7, NOW)
    with pytest.raises(ClockBehind):
        sequence.stamp(NOW)

    assert NOW + 1 == sequence.stamp(NOW + 1).ms
