"""Keys that many ask for one by one: asked together, and each asker is told, whatever comes of it."""

import asyncio
from functools import partial

import pytest

from gateway import gathered
from gateway.gathered import AT_ONCE, MOST, Gathered
from infra.errors import Unavailable
from tests.waits import eventually


class Store:
    """Has the even numbers, as their halves; answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.failure: Exception | None = None
        self.fails_below = 0

    def has_been_asked(self, times: int) -> bool:
        """Whether so many questions have come."""
        return len(self.asked) == times

    async def find(self, keys: list[int]) -> dict[int, int]:
        """What is there."""
        self.asked.append(keys)
        await self.goes_on.wait()
        if self.failure is not None:
            raise self.failure
        if keys[0] < self.fails_below:
            msg = "away"
            raise Unavailable(msg)
        return {key: key // 2 for key in keys if key % 2 == 0}


async def busy(store: Store) -> tuple[Gathered[int, int], list[asyncio.Future[int | None]]]:
    """As many questions under way as there may be, none of them answered yet."""
    store.goes_on.clear()
    asker = Gathered(store.find)
    waiting = []
    for number in range(AT_ONCE):
        waiting.append(asker.ask(number))
        await eventually(partial(store.has_been_asked, number + 1))
    return asker, waiting


async def test_each_is_told_its_own() -> None:
    """Known keys, unknown ones and one that several ask for; in one question, as they came in one turn."""
    store = Store()
    asker = Gathered(store.find)
    assert await asyncio.gather(*(asker.ask(key) for key in (2, 3, 4, 2))) == [1, None, 2, 1]
    assert store.asked == [[2, 3, 4]]


async def test_a_thousand_are_few_questions() -> None:
    """Also when they are more than one question holds."""
    store = Store()
    asker = Gathered(store.find)
    found = await asyncio.gather(*(asker.ask(key) for key in range(1000)))

    assert found == [None if key % 2 else key // 2 for key in range(1000)]
    assert [len(keys) for keys in store.asked] == [MOST, MOST, MOST, 1000 - 3 * MOST]


async def test_those_who_come_meanwhile_gather() -> None:
    """No more than `AT_ONCE` questions are under way; who comes then is asked for in one, when the first has ended."""
    store = Store()
    asker, waiting = await busy(store)
    waiting += [asker.ask(number) for number in range(AT_ONCE, AT_ONCE + 9)]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting[-1]), 5 * gathered.GATHER_S)
    assert len(store.asked) == AT_ONCE
    store.goes_on.set()

    assert [each for each in await asyncio.gather(*waiting) if each is not None] == [0, 1, 2, 3, 4, 5, 6]
    assert store.asked[AT_ONCE:] == [list(range(AT_ONCE, AT_ONCE + 9))]


async def test_a_failure_is_told_to_all_and_the_next_one_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has waited long behind it does not wait as long again; who left meanwhile disturbs nobody."""
    monkeypatch.setattr(gathered, "LONG_S", -1.0)
    store = Store()
    asker, under_way = await busy(store)
    behind = [asker.ask(100), asker.ask(102)]
    under_way[0].cancel()
    behind[0].cancel()
    store.failure = Unavailable("away")
    store.goes_on.set()
    told = await asyncio.gather(*under_way, *behind, return_exceptions=True)

    assert [type(each) for each in told] == [asyncio.CancelledError, *[Unavailable] * 3, asyncio.CancelledError, Unavailable]
    store.failure = None
    assert await asker.ask(8) == 4
    assert len(store.asked) == AT_ONCE + 1


async def test_who_has_just_come_is_asked_for() -> None:
    """What failed was another question: a part of a cluster may be away, or one file be busy for a moment."""
    store = Store()
    asker, under_way = await busy(store)
    behind = asker.ask(100)
    store.fails_below = AT_ONCE
    store.goes_on.set()

    assert [type(each) for each in await asyncio.gather(*under_way, return_exceptions=True)] == [Unavailable] * AT_ONCE
    assert await behind == 50


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound a question is refused, and the others are answered."""
    monkeypatch.setattr(gathered, "MAX_WAITING", 3)
    asker = Gathered(Store().find)
    waiting = [asker.ask(number) for number in range(3)]
    with pytest.raises(Unavailable, match="3 questions"):
        asker.ask(3)
    assert await asyncio.gather(*waiting) == [0, None, 1]
