"""Sums of counters split into parts, whatever order they become known in."""

from hypothesis import given
from hypothesis import strategies as st

from infra.jetstream.tally import Parts, Tally

NAMES = ("like", "love")
PARTS = st.dictionaries(st.sampled_from([*NAMES, "arrivals"]), st.dictionaries(st.integers(-1, 7), st.integers(0, 50)))


def _tally(known: list[Parts]) -> Tally:
    tally = Tally()
    for parts in known:
        tally.know(parts)
    return tally


@given(known=st.lists(PARTS), data=st.data())
def test_pulses_that_cross_or_repeat_lead_to_the_same_totals(known: list[Parts], data: st.DataObject) -> None:
    """Any order of the same values, with any of them again, sums to what one order sums to."""
    again = data.draw(st.lists(st.sampled_from(known)) if known else st.just([]))
    other = data.draw(st.permutations(known + again))

    assert _tally(other).totals(NAMES) == _tally(known).totals(NAMES)


@given(known=st.lists(PARTS))
def test_totals_never_go_back(known: list[Parts]) -> None:
    """Each value that becomes known leaves every total where it was or raises it, and says which."""
    tally = Tally()
    for parts in known:
        before = tally.totals(NAMES)
        whole = tally.parts((*NAMES, "arrivals"))
        news = tally.know(parts)
        after = tally.totals(NAMES)

        assert all(after[name] >= total for name, total in before.items())
        grown = {
            name: values for name, values in parts.items() if any(v > whole.get(name, {}).get(p, 0) for p, v in values.items())
        }
        assert news == bool(grown)


def test_a_total_counts_every_part_once() -> None:
    """The newest value of each part counts; names nobody asked for do not."""
    tally = _tally([{"like": {0: 3, 5: 1}}, {"like": {0: 4}, "arrivals": {0: 9}}, {"like": {0: 2, -1: 100}}])

    assert tally.totals(NAMES) == {"like": 105}
    assert tally.parts(NAMES) == {"like": {0: 4, 5: 1, -1: 100}}
