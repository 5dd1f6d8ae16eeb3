"""Questions that many ask at once: one is under way, and whoever comes meanwhile shares the next.

Not the one under way: its answer may be of a moment before they came.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Joined(Generic[T]):
    """By key. What it holds is bounded by who waits."""

    def __init__(self) -> None:
        self._turns: dict[str, asyncio.Lock] = {}
        self._next: dict[str, asyncio.Task[T]] = {}

    async def ask(self, key: str, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to a *question* that is asked after this was called; what it raises all who share it are told."""
        task = self._next.get(key)
        if task is None:
            task = self._next[key] = asyncio.create_task(self._asked(key, question))
            task.add_done_callback(_seen)
        # Shielded: whoever leaves must not end it for the others.
        return await asyncio.shield(task)

    async def _asked(self, key: str, question: Callable[[], Awaitable[T]]) -> T:
        turn = self._turns.setdefault(key, asyncio.Lock())
        try:
            async with turn:
                # Who comes from here on might be told what was before they came.
                del self._next[key]
                return await question()
        finally:
            if key not in self._next:
                self._turns.pop(key, None)


def _seen(task: asyncio.Task[T]) -> None:
    """All who asked may have left: nobody else looks at what it raised."""
    if not task.cancelled():
        task.exception()
