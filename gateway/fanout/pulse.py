"""What rides along with the windows of a stream: reactions and viewer counts. Ephemeral, and never with an id."""

import msgspec

from infra.clock import Clock
from infra.telemetry import logs
from schemas.times import rfc3339

log = logs.get(__name__)

#: The name of an event, and its data: each wire has its own frame for them.
News = tuple[str, dict[str, object]]


class PulseMessage(msgspec.Struct):
    """What a gateway tells the others on `pulse.<shard>.<stream>` after it counted a reaction durably."""

    reactions: dict[str, int]
    totals: dict[str, int]


class Pulse:
    """Collects between two flushes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self.totals: dict[str, int] = {}
        self.viewers = 0
        self._told_viewers: int | None = None

    def take(self, payload: bytes) -> bool:
        """Add a pulse; False when it is none."""
        try:
            message = msgspec.json.decode(payload, type=PulseMessage)
        except msgspec.MsgspecError as error:
            log.warning("unreadable pulse dropped", cause=str(error))
            return False
        for name, count in message.reactions.items():
            self._counts[name] = self._counts.get(name, 0) + count
        self.know(message.totals)
        return True

    def know(self, totals: dict[str, int]) -> None:
        """Note durable totals; they only grow, and pulses of two gateways may cross."""
        for name, total in totals.items():
            self.totals[name] = max(total, self.totals.get(name, 0))

    @property
    def due(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._counts) or self.viewers != self._told_viewers

    def news(self) -> list[News]:
        """The events since the last call, possibly none."""
        found: list[News] = []
        if self._counts:
            burst: dict[str, object] = {"counts": self._counts, "totals": self.totals, "at": rfc3339(self._clock.now_ms())}
            found.append(("reactions", burst))
            self._counts = {}
        if self.viewers != self._told_viewers:
            found.append(self.viewers_news())
            self._told_viewers = self.viewers
        return found

    def viewers_news(self) -> News:
        """The viewer count as it stands, for one who just came."""
        return "viewers", {"count": self.viewers, "approximate": False}
