"""Asks one log for the tails of its watched streams, and remembers how far it has seen."""

from collections.abc import Collection

from gateway.fanout.audience import Audience
from infra.clock import Clock
from infra.jetstream.reader import Reader

#: Streams with a young last event are asked for this often...
YOUNG_EVERY_S = 2.0
YOUNG_S = 60.0
#: ... and the others this often.
ALL_EVERY_S = 30.0
#: Checks run on ticks of a second: at the nearest one, since a tick that comes a moment early must not make it three.
SLACK_S = 0.5


class LogCheck:
    """Of all its streams, or of the young ones; each kind asks for what came after that which it saw last."""

    def __init__(self, log: str, reader: Reader, clock: Clock) -> None:
        self._log = log
        self._reader = reader
        self._clock = clock
        self._young_at = self._all_at = clock.monotonic()
        self._young_seen = self._all_seen = 0

    @property
    def due(self) -> bool:
        """Whether all streams are to be asked for."""
        return self._clock.monotonic() - self._all_at >= ALL_EVERY_S - SLACK_S

    @property
    def young_due(self) -> bool:
        """Whether those with a young last event are to be asked for."""
        return self._clock.monotonic() - self._young_at >= YOUNG_EVERY_S - SLACK_S

    async def all(self, audiences: Collection[Audience]) -> None:
        """Ask for all of *audiences*; until that was answered it stays due.

        Raises:
            Unavailable: the log does not answer.
        """
        self._all_at = float("-inf")
        self._all_seen = await self._ask(audiences, self._all_seen)
        self._all_at = self._young_at = self._clock.monotonic()

    async def young(self, audiences: Collection[Audience]) -> None:
        """Ask for those of *audiences* that had an event lately.

        Raises:
            Unavailable: the log does not answer.
        """
        self._young_at = now = self._clock.monotonic()
        young = [audience for audience in audiences if now - audience.follower.last_event < YOUNG_S]
        self._young_seen = await self._ask(young, self._young_seen)

    async def _ask(self, audiences: Collection[Audience], seen: int) -> int:
        """Tell followers their tails; the log's seq up to which that is the whole truth."""
        watched = {audience.follower.subject: audience for audience in audiences}
        if not watched:
            return seen
        # One that was opened since the last check was not in it: it is asked for from its own tail on.
        fresh = [audience for audience in watched.values() if not audience.checked]
        after = min([seen, *(audience.windower.last for audience in fresh)])
        tails, seen = await self._reader.tails_after(self._log, list(watched), after)
        for subject, tail in tails.items():
            if subject in watched:
                watched[subject].follower.expect(tail)
        for audience in fresh:
            audience.checked = True
        return seen
