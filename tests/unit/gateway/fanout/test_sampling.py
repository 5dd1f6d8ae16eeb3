"""Samples: pure in comment and cohort, by priority, bounded, and never of what everyone has to see."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.fanout.sampling import COHORTS, chosen, cohort_of, cut, weight_of
from gateway.fanout.window import Window
from gateway.shown import Shown
from infra.policy import Weights
from tests.factories import comment, shown

MANY = 10_000


def _items(count: int, weight: float = 1.0) -> list[Shown]:
    return [shown(n, n).kept(weight) for n in range(1, count + 1)]


@given(st.lists(st.integers(1, 199), unique=True, max_size=8), st.floats(0.01, 1.0), st.integers(0, COHORTS - 1))
def test_how_windows_are_cut_changes_nothing(cuts: list[int], share: float, cohort: int) -> None:
    """Two gateways that cut their windows elsewhere show a cohort the same comments."""
    items = _items(200)
    edges = [0, *sorted(cuts), 200]
    pieces = [chosen(items[a:b], cohort, share, MANY) for a, b in itertools.pairwise(edges)]

    assert [item for piece in pieces for item in piece] == chosen(items, cohort, share, MANY)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_larger_share_shows_everything_a_smaller_one_does(a: float, b: float) -> None:
    """When more can be shown nothing disappears in exchange."""
    items = _items(100)
    fewer, more = (set(chosen(items, 0, share, MANY)) for share in sorted((a, b)))

    assert fewer <= more


def test_the_share_is_about_what_was_asked() -> None:
    """Of 4,000 comments a tenth is shown, within the noise."""
    shown_count = len(chosen(_items(4000), 1, 0.1, MANY))

    assert 320 < shown_count < 480


def test_cohorts_see_different_comments() -> None:
    """Between them four cohorts see far more than one."""
    items = _items(1000)
    seen = [set(chosen(items, cohort, 0.1, MANY)) for cohort in range(COHORTS)]

    assert len(set.union(*seen)) > 2.5 * max(map(len, seen))


@given(st.floats(0.001, 0.1), st.integers(1, 5))
def test_weightless_items_are_always_shown(share: float, most: int) -> None:
    """The creator's, the moderators' and everything that is no comment: whatever the share and the bound."""
    items = [structs.replace(item, weight=0.0) if item.seq % 10 == 0 else item for item in _items(100)]
    kept = chosen(items, 2, share, most)

    assert {item.seq for item in kept} >= set(range(10, 101, 10))
    assert sum(item.weight > 0 for item in kept) <= most
    assert [item.seq for item in kept] == sorted(item.seq for item in kept)


def test_priority_counts() -> None:
    """Verified authors, replies and questions are shown more often; the creator always; weights are settings."""
    plain = comment(1)
    verified = structs.replace(plain, user=structs.replace(plain.user, badges=["verified"]))
    creator = structs.replace(plain, user=structs.replace(plain.user, badges=["creator"]))
    weights = Weights(verified=8, reply=3, question=2)

    assert weight_of(plain, weights) == 1
    assert weight_of(verified, weights) == 8
    assert weight_of(comment(2, text="why?", parent="1"), weights) == 6
    assert weight_of(creator, weights) == 0
    assert len(chosen(_items(500, weight=8.0), 0, 0.05, MANY)) > 4 * len(chosen(_items(500), 0, 0.05, MANY))


def test_cuts_say_what_they_left_out() -> None:
    """A cut of a window spans the same range, and names how many it shows of how many."""
    made = cut(Window(0, 100, tuple(_items(100)), 1.0), 0.2, 15)

    assert len(made.items) == 100
    for cohort, each in enumerate(made.cuts):
        assert (each.prev, each.to) == (0, 100)
        assert each.sampled == (len(each.items), 100)
        assert len(each.items) <= 15
        assert made.cut(cohort) is each


def test_a_person_is_in_one_cohort() -> None:
    """A pure function of the person, spread evenly."""
    assert {cohort_of(person) for person in range(100)} == set(range(COHORTS))
