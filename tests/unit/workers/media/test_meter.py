"""What a publisher may send, by a clock in the test's hand."""

import pytest

from workers.media.rtmp.errors import Refused
from workers.media.rtmp.limits import Limits
from workers.media.rtmp.meter import Meter

LIMITS = Limits(bit_rate=8e6, messages=100, rate_s=5.0, pace=0.25, pace_s=30.0)
MEGABYTE = 1_000_000


def test_the_bit_rate_is_an_average() -> None:
    """The whole limit for ever, and what was held back at once, but not one byte more."""
    meter = Meter(LIMITS, 100.0)
    for n in range(600):
        meter.count(MEGABYTE // 10, 1, 100.0 + n / 10)
    meter = Meter(LIMITS, 100.0)
    meter.count(5 * MEGABYTE, 1, 100.1)
    with pytest.raises(Refused, match="Lower the bit rate") as refusal:
        meter.count(1, 1, 100.1)
    assert refusal.value.reason == "bit_rate"


def test_the_broadcaster_reads_both_rates() -> None:
    """What is sent and what is taken, in the unit of the encoder's own field."""
    meter = Meter(LIMITS, 0.0)
    for n in range(1, 34):
        meter.count(MEGABYTE * 12 // 80, 1, n / 10)
    with pytest.raises(Refused, match="sends 12 Mbit/s; this server takes 8"):
        meter.count(MEGABYTE * 12 // 80, 1, 3.4)


def test_messages_are_counted_whatever_their_size() -> None:
    """Each costs us time."""
    meter = Meter(LIMITS, 0.0)
    for n in range(5):
        meter.count(100, 100, n)
    with pytest.raises(Refused, match="100 messages"):
        meter.count(1, 1, 4.9)


def test_a_clock_that_stands_is_refused() -> None:
    """One frame now and then keeps a connection, and no broadcast: after 30 s the line is called too slow."""
    meter = Meter(LIMITS, 0.0)
    for n in range(30):
        meter.advance(20 * n, float(n))
    with pytest.raises(Refused, match="only 1 s of video") as refusal:
        meter.advance(600, 30.0)
    assert refusal.value.reason == "slow"


@pytest.mark.parametrize("pace", [0.3, 1.0, 8.0])
def test_a_slow_line_is_borne(pace: float) -> None:
    """A third of real time is poor, and not nothing; faster than real time is a file."""
    meter = Meter(LIMITS, 0.0)
    for n in range(4000):
        meter.advance(round(n * 50 * pace), n / 20)


def test_jumps_of_the_clock_are_no_progress_and_no_harm() -> None:
    """An encoder set back by an hour goes on; one that only ever jumps gets nowhere."""
    meter = Meter(LIMITS, 0.0)
    for n in range(2000):
        meter.advance((4_000_000 if n < 500 else 0) + n * 50, n / 20)
    meter = Meter(LIMITS, 0.0)
    for n in range(30):
        meter.advance(n * 9000, float(n))
    with pytest.raises(Refused):
        meter.advance(270_000, 30.0)


def test_sound_and_pictures_that_step_over_each_other_are_progress() -> None:
    """Interleaved clocks are a few milliseconds apart."""
    meter = Meter(LIMITS, 0.0)
    for n in range(4000):
        meter.advance(n * 20 - (30 if n % 2 else 0), n / 50)


def test_near_the_limit_the_broadcaster_is_told_once() -> None:
    """Before the broadcast is ended: above four fifths of it, over a whole window."""
    for megabytes, advice in ((0.78, []), (0.9, ["7.1"])):
        meter, told = Meter(LIMITS, 0.0), []
        for n in range(1, 300):
            found = meter.count(round(megabytes * MEGABYTE / 10), 1, n / 10)
            told += [found] if found is not None else []
        assert [text.split()[3] for text in told] == advice
        assert all("above 8 this server ends the broadcast" in text for text in told)
