"""What rides along: bursts once, totals that only grow, counts when they changed."""

import msgspec
import pytest

from gateway.fanout.pulse import Pulse
from infra.clock import HandClock
from schemas.pulse import ReactionPulse


@pytest.fixture(name="pulse")
def _pulse() -> Pulse:
    pulse = Pulse(HandClock())
    pulse.news()
    return pulse


def _told(counts: dict[str, int], parts: dict[str, dict[int, int]]) -> bytes:
    return msgspec.json.encode(ReactionPulse(counts=counts, parts=parts))


def test_pulses_of_two_gateways_make_one_burst(pulse: Pulse) -> None:
    """Counts add up, totals are sums over both gateways' parts, and the next frame is empty."""
    pulse.know({"like": {-1: 100}})
    assert pulse.take(_told({"like": 2}, {"like": {0: 12}}))
    assert pulse.take(_told({"like": 1, "wow": 5}, {"like": {0: 10, 1: 3}, "wow": {1: 5}}))

    [(name, data)] = pulse.news()

    assert name == "reactions"
    assert (data["counts"], data["totals"]) == ({"like": 3, "wow": 5}, {"like": 115, "wow": 5})
    assert str(data["at"]).endswith("Z")
    assert (pulse.due, pulse.news()) == (False, [])


def test_totals_learned_from_the_log_are_told_only_when_they_grew(pulse: Pulse) -> None:
    """After an outage viewers get the totals their lost pulses would have brought, without a burst; otherwise nothing."""
    pulse.know({"like": {0: 5}})
    assert not pulse.due
    pulse.know({"like": {0: 5}}, tell=True)
    assert not pulse.due
    pulse.know({"like": {0: 7}}, tell=True)

    [(_, data)] = pulse.news()

    assert (data["counts"], data["totals"]) == ({}, {"like": 7})


def test_what_is_no_pulse_changes_nothing(pulse: Pulse) -> None:
    """Garbage is dropped, an unknown reaction of a newer version ignored."""
    assert not pulse.take(b"\xff")
    assert not pulse.take(b'{"counts": 1}')
    assert pulse.take(_told({"novel": 1}, {"novel": {0: 1}, "arrivals": {0: 9}}))

    assert (pulse.due, pulse.totals) == (False, {})


def test_a_viewer_count_is_told_when_it_or_its_precision_changed(pulse: Pulse) -> None:
    """The same count twice is told once; the same number, now approximate, is another."""
    pulse.count(7, approximate=False)
    assert pulse.news() == [("viewers", {"count": 7, "approximate": False})]
    pulse.count(7, approximate=False)
    assert pulse.news() == []
    pulse.count(7, approximate=True)
    assert pulse.news() == [("viewers", {"count": 7, "approximate": True})]
