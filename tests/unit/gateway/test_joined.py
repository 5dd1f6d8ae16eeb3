"""Questions that many ask at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.joined import Joined


class Oracle:
    """Answers with the number of the question, when it is let."""

    def __init__(self) -> None:
        self.asked = self.under_way = self.most = 0
        self.let = asyncio.Event()
        self.joined: Joined[int] = Joined()

    def ask(self, question: "Callable[[], Awaitable[int]] | None" = None, key: str = "a") -> asyncio.Task[int]:
        """Somebody asks."""
        return asyncio.create_task(self.joined.ask(key, question or self.answer))

    async def answer(self) -> int:
        """One question."""
        self.asked += 1
        number = self.asked
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.let.wait()
        finally:
            self.under_way -= 1
        return number


async def turns() -> None:
    """Let whoever can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_comes_meanwhile_shares_the_next() -> None:
    """However many ask, one question is under way; nobody is told what was asked before they came."""
    oracle = Oracle()
    first = oracle.ask()
    await turns()
    crowd = [oracle.ask() for _ in range(50)]
    other = oracle.ask(key="b")
    await turns()
    assert (oracle.asked, oracle.most) == (2, 2)
    oracle.let.set()

    assert await first == 1
    assert await other == 2
    assert {await each for each in crowd} == {3}
    assert oracle.most == 2
    assert await oracle.ask() == 4


async def test_who_leaves_ends_it_for_nobody() -> None:
    """The one that asked first goes; those who share its answer have it."""
    oracle = Oracle()
    first, second = oracle.ask(), oracle.ask()
    await turns()
    first.cancel()
    await turns()
    oracle.let.set()

    assert await second == 1
    assert first.cancelled()


async def test_what_it_raises_all_are_told() -> None:
    """And whoever asks next is answered anew."""
    oracle = Oracle()

    async def fail() -> int:
        raise LookupError

    asking = [oracle.ask(fail), oracle.ask(fail)]
    for each in asking:
        with pytest.raises(LookupError):
            await each
    oracle.let.set()
    assert await oracle.ask() == 1


async def test_nothing_is_kept_of_what_is_over() -> None:
    """Ten thousand streams that were asked for once weigh nothing."""
    oracle = Oracle()
    oracle.let.set()
    await asyncio.gather(*(oracle.ask(key=str(n)) for n in range(100)))

    assert not oracle.joined._turns  # noqa: SLF001 - what it holds is the promise
    assert not oracle.joined._next  # noqa: SLF001 - likewise
