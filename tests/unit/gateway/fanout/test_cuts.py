"""The cuts of a window: what each cohort is shown, and how many of how many that is."""

from gateway.fanout.cuts import Cuts
from gateway.fanout.sampling import EVERYBODY
from tests.factories import shown


def test_cuts_say_what_they_left_out() -> None:
    """A cut of a window spans the same range, and names how many it shows of how many."""
    cuts = Cuts(100, 100_000)
    for n in range(1, 21):
        cuts.add(shown(n, n), [n % 4])
    made = cuts.window(0, 25, 1.0)

    assert len(made.items) == 20
    assert not cuts.whole
    for cohort in EVERYBODY:
        cut = made.cut(cohort)
        assert (cut.prev, cut.to, cut.sampled) == (0, 25, (5, 20))
        assert [item.seq for item in cut.items] == [n for n in range(1, 21) if n % 4 == cohort]


def test_the_largest_cut_is_the_bound() -> None:
    """What nobody is shown takes no room; one cohort that is full ends the window for all."""
    item = shown(1, 1)
    for most, most_bytes in ((3, 100_000), (100, 3 * len(item.data))):
        cuts = Cuts(most, most_bytes)
        for _ in range(9):
            cuts.add(item, ())
        for _ in range(3):
            assert cuts.has_room(item)
            cuts.add(item, [2])
        assert not cuts.has_room(item)


def test_an_empty_window_has_room_for_anything() -> None:
    """One item that is larger than a window may be still goes."""
    cuts = Cuts(100, 10)
    assert cuts.has_room(shown(1, 1))
    cuts.add(shown(1, 1), EVERYBODY)
    assert cuts.whole
    assert not cuts.has_room(shown(2, 2))
