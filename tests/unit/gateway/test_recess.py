"""Posts begin between long flushes, and the next flush waits a moment for them; nobody waits for ever."""

import asyncio
from collections.abc import Callable

import pytest

from gateway import recess
from gateway.recess import Recess
from tests.waits import eventually


class Day:
    """A recess, and what happened in which order."""

    def __init__(self) -> None:
        self.recess = Recess()
        self.happened: list[str] = []
        self.done: dict[str, Callable[[], None]] = {}
        #: Seconds of its clock, which stands still.
        self.now = 0.0

    def post(self, name: str) -> None:
        """Somebody posts."""

        def begin(done: Callable[[], None]) -> None:
            self.happened.append(name)
            self.done[name] = done

        self.recess.enter(begin)

    def read(self, name: str) -> None:
        """What may be a post comes."""
        self.recess.hold(lambda: self.post(name))

    def flush(self, name: str = "flush") -> None:
        """A long flush is due."""
        self.recess.end(lambda: self.happened.append(name))


@pytest.fixture(name="day")
def _day(monkeypatch: pytest.MonkeyPatch) -> Day:
    # Longer than any test waits, unless it says otherwise.
    monkeypatch.setattr(recess, "MOST_S", 600.0)
    monkeypatch.setattr(recess, "SETTLE_S", 600.0)
    # Nothing gathers, unless a test says otherwise.
    monkeypatch.setattr(recess, "RECENT_S", 0.0)
    day = Day()
    monkeypatch.setattr(recess, "_now", lambda: day.now)
    return day


async def test_posts_wait_for_a_long_flush_and_begin_together(day: Day) -> None:
    """In the order in which they came; without one each begins at once."""
    day.post("a")
    day.done["a"]()
    day.flush()
    for name in "bc":
        day.post(name)
    assert day.happened == ["a", "flush"]
    day.recess.begin()
    day.post("d")
    assert day.happened == ["a", "flush", "b", "c", "d"]


async def test_two_flushes_at_once_are_one(day: Day) -> None:
    """Those of two streams overlap: posts begin when neither is under way."""
    day.flush("one")
    day.post("a")
    day.flush("two")
    day.recess.begin()
    assert day.happened == ["one", "two"]
    day.recess.begin()
    assert day.happened == ["one", "two", "a"]


async def test_a_flush_waits_for_those_who_have_begun(day: Day) -> None:
    """With the flush before it or since; whoever comes while it waits comes after it."""
    day.flush("one")
    for name in "ab":
        day.post(name)
    day.recess.begin()
    day.post("since")
    day.flush("two")
    day.post("late")
    for name in ("a", "b"):
        day.done[name]()
        await asyncio.sleep(0)
    assert day.happened == ["one", "a", "b", "since"]
    assert day.recess.busy
    day.done["since"]()
    await eventually(lambda: not day.recess.busy)
    await eventually(lambda: day.happened == ["one", "a", "b", "since", "two"])
    day.recess.begin()
    assert day.happened[-1] == "late"


async def _waited_in_vain(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """A post that was let in hangs, and a flush has waited for it."""
    day.flush("one")
    day.post("hangs")
    day.recess.begin()
    with monkeypatch.context() as patched:
        patched.setattr(recess, "SETTLE_S", 0.01)
        day.flush("two")
        await eventually(lambda: day.happened == ["one", "hangs", "two"])


async def test_nobody_waits_for_a_post_that_hangs(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush goes on after a moment, the next ones at once; its end means nothing any more."""
    await _waited_in_vain(day, monkeypatch)
    day.recess.begin()
    day.flush("three")
    day.post("a")
    day.done["hangs"]()
    assert day.happened == ["one", "hangs", "two", "three"]
    day.recess.begin()
    day.flush("four")
    assert day.happened == ["one", "hangs", "two", "three", "a"]
    day.done["a"]()
    await eventually(lambda: day.happened[-1] == "four")


async def test_nobody_waits_for_it_again_while_flushes_overlap(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two streams there may always be one on its way, and no post is let in that would count anew."""
    await _waited_in_vain(day, monkeypatch)
    day.flush("three")
    assert day.happened == ["one", "hangs", "two", "three"]


async def test_no_post_waits_for_flushes_without_end(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one follows the other, posts begin after a while all the same."""
    monkeypatch.setattr(recess, "MOST_S", 0.01)
    day.flush()
    day.post("a")
    assert day.happened == ["flush"]
    await eventually(lambda: day.happened == ["flush", "a"])


async def test_posts_gather_between_long_flushes(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that come soon after one another begin together, some milliseconds after those before them."""
    monkeypatch.setattr(recess, "RECENT_S", 600.0)
    day.flush()
    day.post("a")
    day.recess.begin()
    for name in "bc":
        day.post(name)
    assert day.happened == ["flush", "a"]
    await eventually(lambda: day.happened == ["flush", "a", "b", "c"])
    day.now += recess.GATHER_S
    day.post("d")
    day.post("e")
    assert day.happened == ["flush", "a", "b", "c", "d"]
    await eventually(lambda: day.happened[-1] == "e")


async def test_what_gathers_begins_after_a_flush_that_is_due(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would make those wait that are through already; it does not begin in the middle of the flush either."""
    monkeypatch.setattr(recess, "RECENT_S", 600.0)
    day.flush("one")
    day.post("a")
    day.recess.begin()
    day.post("b")
    day.done["a"]()
    day.flush("two")
    until = asyncio.get_running_loop().time() + 5 * recess.GATHER_S
    await eventually(lambda: asyncio.get_running_loop().time() > until)
    assert day.happened == ["one", "a", "two"]
    day.recess.begin()
    assert day.happened == ["one", "a", "two", "b"]


async def test_nothing_gathers_long_after_a_flush(day: Day) -> None:
    """A post that comes by itself would wait for nobody."""
    day.flush()
    day.post("a")
    day.recess.begin()
    day.now += recess.RECENT_S + recess.GATHER_S
    for name in "bc":
        day.post(name)
    assert day.happened == ["flush", "a", "b", "c"]


async def test_what_was_held_begins_at_once_when_it_is_read(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the others after a flush, also when flushes follow each other without end: it has waited as long."""
    day.flush("one")
    day.read("a")
    day.post("b")
    day.recess.begin()
    assert sorted(day.happened[1:]) == ["a", "b"]
    for done in day.done.values():
        done()
    with monkeypatch.context() as patched:
        patched.setattr(recess, "MOST_S", 0.01)
        day.flush("two")
        day.read("c")
    assert day.happened[-1] == "two"
    await eventually(lambda: day.happened[-1] == "c")
    assert not day.recess.open
