"""Samples: pure in comment and cohort, by priority, at most so many a second, and never of what everyone has to see."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway.fanout.sampling import COHORTS, EVERYBODY, Draws, cohort_of, drawn, weight_of
from gateway.shown import Shown
from infra.policy import Weights
from tests.factories import NOON_MS, comment, shown


def _items(count: int, weight: float = 1.0) -> list[Shown]:
    return [shown(n, n).kept(weight) for n in range(1, count + 1)]


def _chosen(items: list[Shown], cohort: int, share: float, per_s: int = 0) -> list[int]:
    draws = Draws()
    return [item.seq for item in items if cohort in draws.draw(item, share, per_s)]


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_larger_share_shows_everything_a_smaller_one_does(a: float, b: float) -> None:
    """When more can be shown nothing disappears in exchange."""
    items = _items(100)
    fewer, more = (set(_chosen(items, 0, share)) for share in sorted((a, b)))

    assert fewer <= more


def test_the_share_is_about_what_was_asked() -> None:
    """Of 4,000 comments a tenth is shown, within the noise; all of them when all are asked for, whatever they weigh."""
    assert 320 < len(_chosen(_items(4000), 1, 0.1)) < 480
    assert len(_chosen(_items(100, weight=0.1), 1, 1.0)) == 100


def test_cohorts_see_different_comments() -> None:
    """Between them four cohorts see far more than one."""
    items = _items(1000)
    seen = [set(_chosen(items, cohort, 0.1)) for cohort in range(COHORTS)]

    assert len(set.union(*seen)) > 2.5 * max(map(len, seen))


def test_a_cohort_has_its_own_luck() -> None:
    """Who shows one cohort a comment shows it to no other for that: each is shown it as often as chance has it."""
    times = Counter(len(drawn(item, 0.5)) for item in _items(800))

    assert set(times) == set(range(COHORTS + 1))
    assert all(30 < times[n] for n in times)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1.0, 2.0, 8.0])), max_size=120),
    st.sampled_from([1.0, 0.6, 0.2]),
    st.integers(1, 9),
)
def test_no_second_shows_more_than_it_may(log: list[tuple[int, float]], share: float, per_s: int) -> None:
    """Of each second of the log a cohort is shown the first that were drawn, up to the limit, also where nothing is sampled."""
    log.sort(key=lambda each: each[0])
    items = [
        structs.replace(shown(n, n), at_ms=NOON_MS + 1000 * second + n).kept(weight)
        for n, (second, weight) in enumerate(log, 1)
    ]
    for cohort in EVERYBODY:
        chosen = _chosen(items, cohort, share, per_s)
        for second in range(6):
            here = [item for item in items if item.at_ms // 1000 == NOON_MS // 1000 + second]
            allowed = [item.seq for item in here if cohort in drawn(item, share)][:per_s]
            assert [item.seq for item in here if item.seq in chosen] == allowed


def test_a_clock_that_was_ahead_silences_nobody() -> None:
    """After a second that lay in the future the limit is kept by the ones that come, not by the one that is still to come."""
    ahead = [structs.replace(item, at_ms=NOON_MS + 3_600_000) for item in _items(5)]

    assert len(_chosen(ahead + [structs.replace(item, seq=item.seq + 5) for item in _items(5)], 0, 1.0, 3)) == 6


@given(st.floats(0.001, 0.1), st.integers(1, 5))
def test_weightless_items_are_always_shown(share: float, per_s: int) -> None:
    """The creator's, the moderators' and everything that is no comment: whatever share and limit, and beside the limit."""
    items = [structs.replace(item, weight=0.0) if item.seq % 10 == 0 else item for item in _items(100)]
    kept = _chosen(items, 2, share, per_s)

    assert set(kept) >= set(range(10, 101, 10))
    assert len(kept) <= 10 + per_s
    assert kept == sorted(kept)


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
    assert len(_chosen(_items(500, weight=8.0), 0, 0.05)) > 4 * len(_chosen(_items(500), 0, 0.05))


def test_a_person_is_in_one_cohort() -> None:
    """A pure function of the person, spread evenly."""
    assert {cohort_of(person) for person in range(100)} == set(range(COHORTS))
