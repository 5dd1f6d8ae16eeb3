"""The shelf: ranges for viewers further behind than the ring, several at a time and none for long."""

import itertools

from gateway.fanout.shelf import RANGE_BYTES, RANGE_S, RANGES, Shelf
from gateway.fanout.window import Window
from tests.factories import shown


def _windows(*tos: int) -> list[Window]:
    """Windows from the first of *tos* to each next one."""
    return [Window(prev, to, (shown(to, to),), 0.0) for prev, to in itertools.pairwise(tos)]


def _after(shelf: Shelf, position: int, now: float = 0.0) -> list[tuple[int, int]] | None:
    found = shelf.after(position, 10, now)
    return None if found is None else [(window.prev, window.to) for window in found]


def test_a_range_grows_forward() -> None:
    """What follows on a range is served as one with it, to those at its beginning too."""
    shelf = Shelf()
    shelf.put(_windows(10, 20, 30), 0.0)
    shelf.put(_windows(30, 40), 0.0)

    assert _after(shelf, 10) == [(10, 20), (20, 30), (30, 40)]
    assert _after(shelf, 40) is None


def test_a_range_elsewhere_leaves_the_others() -> None:
    """A read for somebody in between costs nobody what they still need; the one unused for longest goes when room is short."""
    shelf = Shelf()
    for start in range(RANGES):
        shelf.put(_windows(100 * start, 100 * start + 10), 0.0)
    assert _after(shelf, 0) == [(0, 10)]

    shelf.put(_windows(1000, 1010), 0.0)

    assert _after(shelf, 100) is None
    assert [_after(shelf, start) for start in (0, 200, 300, 1000)] == [[(0, 10)], [(200, 210)], [(300, 310)], [(1000, 1010)]]


def test_what_nobody_uses_goes() -> None:
    """A range is kept for `RANGE_S` after its last use, and its bytes are given back."""
    shelf = Shelf()
    shelf.put(_windows(10, 20), 0.0)
    shelf.put(_windows(50, 60), 0.0)
    assert _after(shelf, 50, now=RANGE_S) is not None

    shelf.trim(RANGE_S + 1)

    assert (_after(shelf, 10), _after(shelf, 50)) == (None, [(50, 60)])
    shelf.trim(RANGE_S * 3)
    assert shelf.bytes == 0


def test_decisions_reach_what_is_shelved() -> None:
    """A comment that was removed after it was read is not served from here in full."""
    shelf = Shelf()
    shelf.put(_windows(10, 20, 30), 0.0)

    shelf.rewrite(lambda item: "moderator" if item.seq == 20 else None)

    served = shelf.after(10, 10, 0.0)
    assert served is not None
    assert [item.removed for window in served for item in window.items] == ["moderator", None]


def test_more_than_a_range_holds_is_held_from_its_beginning() -> None:
    """A read of long comments: whoever waited for it is served its first part, then the next, and the bound is kept."""
    shelf = Shelf()
    item = shown(1, 1, text="\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 500)
    read = [Window(n, n + 1, (item,) * 25, 0.0) for n in range(60)]
    assert sum(window.size for window in read) > RANGE_BYTES
    position = 0
    for _ in range(3):
        shelf.put(read[position:], 0.0)
        assert shelf.bytes <= RANGE_BYTES
        while found := shelf.after(position, 10, 0.0):
            assert found[0].prev == position
            position = found[-1].to
        if position == 60:
            break
    assert position == 60
