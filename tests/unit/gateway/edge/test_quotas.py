"""Quotas of viewers: never more than the limit, and back where everybody has left."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.quotas import Quotas


@dataclass(eq=False)
class Caller:
    """Somebody who wants to watch."""

    person: int
    named: bool
    place: str


CALLS = st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.sampled_from(["a", "b"]), st.booleans()), max_size=60)


@given(CALLS, st.integers(0, 3), st.integers(0, 4), st.integers(0, 5))
def test_the_limits_hold_however_they_come_and_go(
    calls: list[tuple[int, bool, str, bool]], per_person: int, per_address: int, in_total: int
) -> None:
    """After each arrival and departure: refused exactly when all, or else the person, or the address, are at their limit."""
    quotas, inside = Quotas(per_person, per_address, in_total), list[Caller]()
    for person, named, address, leaves in calls:
        if leaves and inside:
            quotas.give_back(inside.pop(person % len(inside)))
            continue
        caller = Caller(person, named, address)
        same_person = sum(each.named and each.person == person for each in inside)
        same_place = sum(each.place == address for each in inside)
        expected = ""
        if in_total and len(inside) == in_total:
            expected = "viewers"
        elif per_person and named and same_person == per_person:
            expected = "person"
        elif per_address and same_place == per_address:
            expected = "address"

        assert quotas.exceeded(caller) == expected
        assert quotas.taken == len(inside)
        if not expected:
            quotas.take(caller)
            inside.append(caller)
    for caller in inside:
        quotas.give_back(caller)
    assert not quotas._people  # noqa: SLF001 - what is left over would grow for ever
    assert not quotas._places  # noqa: SLF001 - as above


def test_an_ipv6_client_is_its_network() -> None:
    """It has 2^64 addresses of its own; an IPv4 one written as IPv6 is itself, and nothing is kept while nothing is counted."""
    quotas = Quotas(0, 1)

    assert quotas.place("2001:db8:1:2::3") == quotas.place("2001:db8:1:2:ffff::9") != quotas.place("2001:db8:1:3::3")
    assert quotas.place("192.0.2.1") == quotas.place("::ffff:192.0.2.1") != quotas.place("192.0.2.2")
    assert quotas.place("no address") == "no address"
    assert Quotas(5, 0).place("192.0.2.1") == ""
