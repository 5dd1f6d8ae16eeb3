"""What viewers of both protocols have in common: what they keep, the proof of the chain, and waiting for what is to come.

Shares no code with the gateway.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from tests.waits import PATIENCE_S

#: Listeners with a connection; whoever runs the gateways closes them at the end.
OPEN: "set[Listener]" = set()


async def close_all() -> None:
    """Cut every listener of the test that is still connected."""
    for listener in list(OPEN):
        await listener.cut()


@dataclass(eq=False, kw_only=True)
class Listener(ABC):
    """Keeps every item once, and everything that broke the contract."""

    items: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    _prev: int | None = None
    _task: asyncio.Task[None] | None = None
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    @abstractmethod
    async def cut(self) -> None:
        """Lose the network: no goodbye."""

    @property
    @abstractmethod
    def transport(self) -> asyncio.Transport:
        """The socket's, while there is a connection."""

    @property
    def over(self) -> bool:
        """Whether the connection has ended."""
        return self._task is None or self._task.done()

    async def ended(self, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the server ended the connection."""
        assert self._task is not None
        await asyncio.wait_for(asyncio.shield(self._task), timeout_s)
        await self.cut()

    def pause(self) -> None:
        """Stop reading from the socket, as a stalled client does."""
        self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        self.transport.resume_reading()

    async def until(self, done: Callable[[Self], object], timeout_s: float = PATIENCE_S) -> None:
        """Wait until `done(self)` is true, looking after each thing received.

        Raises:
            AssertionError: not within *timeout_s*; says what was received.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not done(self):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            msg = f"not in {timeout_s} s: {len(self.items)} items, {self.told()}, {self.faults}"
            raise AssertionError(msg) from None

    def told(self) -> str:
        """What was received last, for people."""
        return f"last {[item.get('text', item['type']) for item in self.items[-5:]]}, position {self._prev}"

    @property
    def texts(self) -> list[str]:
        """The texts of the comments received, in the order of arrival."""
        return [item["text"] for item in self.items if item["type"] == "comment"]

    @property
    def seqs(self) -> list[int]:
        """The seqs of the items received, in the order of arrival."""
        return [item["seq"] for item in self.items]

    def _follow(self, prev: int, to: int, items: list[dict[str, Any]]) -> None:
        """Keep a delivery's items, and note what is wrong with it."""
        if self._prev is not None:
            self._check(prev == self._prev, f"prev {prev} after {self._prev}")
        seqs = [item["seq"] for item in items]
        self._check(seqs == sorted(set(seqs)), f"items out of order: {seqs}")
        self._check(all(prev < seq <= to for seq in seqs), f"items outside {prev}-{to}")
        if self.items and seqs:
            self._check(seqs[0] > self.items[-1]["seq"], f"{seqs[0]} after {self.items[-1]['seq']}")
        self.items += items
        self._prev = to

    def _check(self, holds: bool, fault: str) -> None:  # noqa: FBT001 - the condition itself
        if not holds:
            self.faults.append(fault)
