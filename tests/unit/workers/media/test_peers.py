"""Counts by address: connections and refused keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clock import HandClock
from infra.limit import Limit
from workers.media.rtmp.guesses import SLOTS, Guesses
from workers.media.rtmp.peers import Peers, party


@pytest.mark.parametrize(
    ("address", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.8", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::1", "::2", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("?", "192.0.2.7", False),
    ],
)
def test_of_ipv6_a_network_is_one_party(address: str, other: str, same: bool) -> None:  # noqa: FBT001 - a table's column
    """A household has 2^64 addresses of it."""
    assert (party(address) == party(other)) is same


def test_connections_are_counted_in_total_and_by_address() -> None:
    """Whoever leaves makes room; what was refused was not counted."""
    peers = Peers(3, 2)
    assert [peers.enter(each) for each in ("a", "a", "a", "b", "c")] == [None, None, "address", None, "total"]
    peers.leave("a")
    assert [peers.enter(each) for each in ("b", "a")] == [None, "total"]
    assert len(peers) == 3


@given(st.lists(st.sampled_from("abc")))
def test_nothing_is_left_of_those_who_left(names: list[str]) -> None:
    """As many leave as came: all the room is there again."""
    peers = Peers(1000, 0)
    for name in names:
        assert peers.enter(name) is None
    for name in names:
        peers.leave(name)
    assert len(peers) == 0
    assert not vars(peers)["_counts"]


def test_after_too_many_wrong_keys_an_address_waits() -> None:
    """Up to the limit it may try; then it is told how long to wait, to the second; others may try all along."""
    clock = HandClock()
    guesses = Guesses(Limit(3, 60), clock)
    for _ in range(3):
        assert guesses.wait("192.0.2.7") == 0
        guesses.wrong("192.0.2.7")
        clock.advance(10)
    assert guesses.wait("192.0.2.7") == 30
    assert guesses.wait("192.0.2.8") == 0
    clock.advance(29.5)
    assert guesses.wait("192.0.2.7") == 1
    clock.advance(0.5)
    assert guesses.wait("192.0.2.7") == 0
    guesses.wrong("192.0.2.7")
    assert guesses.wait("192.0.2.7") == 0


def test_the_table_is_bounded_and_a_crowd_pushes_nobody_out() -> None:
    """More addresses than counters: nothing grows, and who had to wait still has to."""
    guesses = Guesses(Limit(2, 60), HandClock())
    guesses.wrong("192.0.2.7")
    guesses.wrong("192.0.2.7")
    for n in range(2 * SLOTS):
        guesses.wrong(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}")
    assert guesses.wait("192.0.2.7") == 60
    assert len(vars(guesses)["_slots"]) <= SLOTS
