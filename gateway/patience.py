"""How long the store is waited for: by who needs it for so many seconds, by who can do without it once in a while."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from infra.clock import Clock
from infra.errors import Unavailable

T = TypeVar("T")

#: For so long after a question that was not answered in its time nobody waits who can do without.
SILENT_S = 5.0


class Patience:
    """Of one gateway with its store."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silent_until = -SILENT_S

    @property
    def silent(self) -> bool:
        """Whether a question was not answered in its time a moment ago."""
        return self._clock.monotonic() < self._silent_until

    async def wait(self, asking: Awaitable[T], seconds: float) -> T:
        """What *asking* the store gives.

        Raises:
            Unavailable: it says so, or has not answered after *seconds*.
        """
        try:
            async with asyncio.timeout(seconds):
                return await asking
        except TimeoutError as error:
            self._silent_until = self._clock.monotonic() + SILENT_S
            msg = f"the store has not answered after {seconds:g} s"
            raise Unavailable(msg) from error
