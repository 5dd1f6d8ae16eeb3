"""The ring: bounded, unbroken, and honest about what it no longer covers."""

import pytest

from gateway.fanout import sse
from gateway.fanout.ring import Ring
from gateway.fanout.window import Window
from tests.factories import shown


def _filled(count: int = 5, max_bytes: int = 1_000_000, max_age_s: float = 120.0) -> Ring:
    """A ring of windows 10-20, 20-30, ... each with one comment at its end."""
    ring = Ring(max_bytes, max_age_s)
    for n in range(1, count + 1):
        ring.append(_window(n * 10, n * 10 + 10, made_at=float(n)))
    return ring


def _window(prev: int, to: int, made_at: float = 0.0) -> Window:
    return Window(prev, to, (shown(to, to),), made_at)


def test_covers_from_its_start() -> None:
    """From the position before its oldest window on, everything after a position is there, in order."""
    windows = _filled().after(30, limit=10)

    assert windows is not None
    assert [(w.prev, w.to) for w in windows] == [(30, 40), (40, 50), (50, 60)]


def test_a_position_inside_a_window_gets_that_window() -> None:
    """Another gateway cut its windows elsewhere: the window that holds the position comes first, to be cut."""
    windows = _filled().after(35, limit=1)

    assert windows is not None
    assert [(w.prev, w.to) for w in windows] == [(30, 40)]


def test_says_when_it_does_not_cover() -> None:
    """A position before the oldest window is not answered with a later one: that would be a silent gap."""
    assert _filled().after(9, limit=10) is None
    assert Ring(1000, 1.0).after(0, limit=10) is None


def test_at_the_end_there_is_nothing() -> None:
    """A viewer at the live edge needs no window."""
    assert _filled().after(60, limit=10) == []


def test_a_window_that_does_not_follow_is_refused() -> None:
    """A gap between two windows would be served as an unbroken chain."""
    with pytest.raises(ValueError, match="does not follow 60"):
        _filled().append(_window(61, 70))


def test_bytes_are_bounded() -> None:
    """However much is appended, the ring stays under its bound and keeps the newest."""
    ring = _filled(count=500, max_bytes=5_000)

    assert ring.bytes <= 5_000
    assert len(ring) > 0
    assert ring.after(5_000, limit=10) is not None


def test_age_is_bounded() -> None:
    """Windows older than the bound go."""
    ring = _filled(count=5, max_age_s=2.0)
    ring.trim(now=5.5)

    assert ring.start == 40


def test_shed_frees_what_was_asked() -> None:
    """The process-wide bound takes at least as many bytes as it asked for."""
    ring = _filled()
    before = ring.bytes
    freed = ring.shed(1)

    assert freed >= 1
    assert ring.bytes == before - freed


def test_a_removal_rewrites_the_window_that_holds_it() -> None:
    """After a removal no window of the ring holds the text, and the chain is as it was."""
    ring = _filled()
    ring.rewrite(lambda item: "moderator" if item.comment_id == "30" else None)
    windows = ring.after(10, limit=10)

    assert windows is not None
    assert b"comment 30" not in b"".join(w.frame(sse) for w in windows)
    assert b'"seq":30' in windows[1].frame(sse)
    assert [(w.prev, w.to) for w in windows] == [(10, 20), (20, 30), (30, 40), (40, 50), (50, 60)]


def test_rewriting_accounts_for_its_bytes() -> None:
    """The bound still holds after a rewrite: bytes are those of the windows that are there."""
    ring = _filled()
    ring.rewrite(lambda _: "moderator")
    windows = ring.after(10, limit=10)

    assert windows is not None
    assert ring.bytes == sum(w.size for w in windows)
