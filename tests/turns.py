"""What is done in one turn of the loop, counted: a time would be another machine's."""

import asyncio
from collections import Counter


class Turns:
    """Counts what is done in each turn of the loop."""

    def __init__(self) -> None:
        self.done: Counter[tuple[str, int]] = Counter()
        self._turn = 0
        self._told = False

    def note(self, what: str, count: int = 1) -> None:
        """*count* more of *what* in this turn."""
        if not self._told:
            self._told = True
            asyncio.get_running_loop().call_soon(self._next)
        self.done[what, self._turn] += count

    def total(self, what: str) -> int:
        """How many were done in all."""
        return sum(count for (each, _), count in self.done.items() if each == what)

    def _next(self) -> None:
        self._told = False
        self._turn += 1
