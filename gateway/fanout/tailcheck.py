"""Asks the logs for the tails of watched streams: a lost last message announces itself to nobody."""

from collections import defaultdict
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


class TailCheck:
    """One per gateway. Each kind of check remembers by log how far it has seen, and asks for what came after that."""

    def __init__(self, reader: Reader, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock
        self._young_at = self._all_at = clock.monotonic()
        self._young_seen: dict[str, int] = {}
        self._all_seen: dict[str, int] = {}

    async def due(self, audiences: Collection[Audience]) -> None:
        """Check what is due now.

        Raises:
            Unavailable: the broker is away.
        """
        now = self._clock.monotonic()
        if now - self._all_at >= ALL_EVERY_S - SLACK_S:
            await self.all(audiences)
        elif now - self._young_at >= YOUNG_EVERY_S - SLACK_S:
            self._young_at = now
            await self._check([a for a in audiences if now - a.follower.last_event < YOUNG_S], self._young_seen)

    async def all(self, audiences: Collection[Audience]) -> None:
        """Check every stream.

        Raises:
            Unavailable: the broker is away.
        """
        await self._check(audiences, self._all_seen)
        self._all_at = self._young_at = self._clock.monotonic()

    async def _check(self, audiences: Collection[Audience], seen: dict[str, int]) -> None:
        by_log: dict[str, dict[str, Audience]] = defaultdict(dict)
        for audience in audiences:
            by_log[audience.follower.log][audience.follower.subject] = audience
        for log, watched in by_log.items():
            # One that was opened since the last check was not in it: it is asked for from its own tail on.
            fresh = [each for each in watched.values() if not each.checked]
            after = min([seen.get(log, 0), *(each.windower.last for each in fresh)])
            tails, seen[log] = await self._reader.tails_after(log, list(watched), after)
            for subject, tail in tails.items():
                if subject in watched:
                    watched[subject].follower.expect(tail)
            for each in fresh:
                each.checked = True
