"""The ends of the live logs, as their leaders know them."""

from functools import partial

from gateway.joined import Joined
from gateway.kept import Kept
from infra.clock import Clock
from infra.jetstream.reader import LogState, Reader

#: Longer than a page's worth of work, shorter than anyone notices an expired message.
STATE_S = 1.0
#: Logs whose ends are kept: as many as there may be.
LOGS = 256


class LogEnds:
    """Of one gateway."""

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._kept: Kept[tuple[float, LogState]] = Kept(LOGS)
        self._joined: Joined[LogState] = Joined()

    async def lately(self, log: str) -> LogState:
        """As they were at most a second ago.

        Raises:
            Unavailable: the broker is away.
        """
        kept = self._kept.get(log)
        if kept is not None and self._clock.monotonic() - kept[0] <= STATE_S:
            return kept[1]
        return await self.now(log)

    async def now(self, log: str) -> LogState:
        """As they are after this was called.

        Raises:
            Unavailable: the broker is away.
        """
        return await self._joined.ask(log, partial(self._ask, log))

    async def _ask(self, log: str) -> LogState:
        state = await self._reader.state(log)
        self._kept.put(log, (self._clock.monotonic(), state), 1)
        return state
