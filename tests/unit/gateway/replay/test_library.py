"""The pages that replays share: found from anywhere inside them, bounded, and let go in the order of their last use."""

from gateway.replay.library import Library
from gateway.replay.page import Page
from tests.factories import shown


def _page(after: int, to: int) -> Page:
    return Page(after, to, tuple(shown(seq, seq) for seq in range(after + 1, to + 1)))


def test_a_page_is_found_from_every_position_in_it() -> None:
    """From its beginning up to before its end; not beyond, not in another stream, not where nothing is."""
    library = Library(1_000_000)
    first, second = _page(10, 20), _page(30, 40)
    library.put("a", second)
    library.put("a", first)

    assert [library.at("a", n) for n in (9, 10, 15, 19)] == [None, first, first, first]
    assert [library.at("a", n) for n in (20, 29, 30, 39, 40)] == [None, None, second, second, None]
    assert library.at("b", 15) is None
    assert [library.next_after("a", n) for n in (0, 10, 29, 30)] == [10, 30, 30, None]


def test_what_was_used_longest_ago_goes_first() -> None:
    """And the bound holds after each page, of all streams together."""
    size = _page(1, 11).size
    library = Library(3 * size)
    pages = {name: _page(1, 11) for name in "abcd"}
    for name in "abc":
        library.put(name, pages[name])
    assert library.at("a", 5) is pages["a"]
    library.put("d", pages["d"])

    assert [library.at(name, 5) is not None for name in "abcd"] == [True, False, True, True]
    assert library.bytes <= 3 * size
    assert len(library) == 3


def test_a_stream_is_forgotten_whole() -> None:
    """A page of it that is read again takes the place of the one before."""
    library = Library(1_000_000)
    library.put("a", _page(1, 5))
    library.put("a", _page(5, 9))
    library.put("b", _page(1, 5))
    library.put("b", _page(1, 6))
    library.forget("a")

    assert (library.at("a", 3), library.at("a", 7), len(library)) == (None, None, 1)
    assert library.bytes == _page(1, 6).size
