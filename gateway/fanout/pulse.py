"""What rides along with the windows of a stream: reactions and viewer counts. Ephemeral, and never with an id."""

import msgspec

from infra.clock import Clock
from infra.jetstream.tally import Parts, Tally
from infra.telemetry import logs
from schemas.items import REACTIONS
from schemas.pulse import ReactionPulse
from schemas.times import rfc3339

log = logs.get(__name__)

#: The name of an event, and its data: each wire has its own frame for them.
News = tuple[str, dict[str, object]]

_decode = msgspec.json.Decoder(ReactionPulse).decode


class Pulse:
    """Collects between two flushes."""

    __slots__ = ("_clock", "_counts", "_news", "_told_viewers", "_viewers", "tally")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._news = False
        #: What is known of the stream's counters; its sums never go back.
        self.tally = Tally()
        self._viewers = (0, False)
        self._told_viewers: tuple[int, bool] | None = None

    def take(self, payload: bytes) -> bool:
        """Add a pulse; False when it is none."""
        try:
            message = _decode(payload)
        except msgspec.MsgspecError as error:
            log.warning("unreadable pulse dropped", cause=str(error))
            return False
        for name, count in message.counts.items():
            if name in REACTIONS:
                self._counts[name] = self._counts.get(name, 0) + count
        self.tally.know(message.parts)
        return True

    def know(self, parts: Parts, *, tell: bool = False) -> None:
        """Note what the counter log says. With *tell* the viewers get totals that grew: a pulse of theirs was lost."""
        self._news |= self.tally.know(parts) and tell

    @property
    def totals(self) -> dict[str, int]:
        """Durable totals by reaction type, zeros left out."""
        return self.tally.totals(REACTIONS)

    def count(self, count: int, approximate: bool) -> None:  # noqa: FBT001 - the pair that `Presence.count` returns
        """Note the viewers over all gateways."""
        self._viewers = (count, approximate)

    @property
    def viewers(self) -> int:
        """Viewers over all gateways, as far as known."""
        return self._viewers[0]

    @property
    def due(self) -> bool:
        """Whether there are reactions to tell."""
        return bool(self._counts) or self._news

    @property
    def recounted(self) -> bool:
        """Whether the viewers have changed since they were told."""
        return self._viewers != self._told_viewers

    def news(self) -> list[News]:
        """The events since the last call, possibly none."""
        found: list[News] = []
        if self._counts or self._news:
            burst: dict[str, object] = {"counts": self._counts, "totals": self.totals, "at": rfc3339(self._clock.now_ms())}
            found.append(("reactions", burst))
            self._counts, self._news = {}, False
        if self.recounted:
            found.append(self.viewers_news())
            self._told_viewers = self._viewers
        return found

    def viewers_news(self) -> News:
        """The viewer count as it stands, for one who just came."""
        count, approximate = self._viewers
        return "viewers", {"count": count, "approximate": approximate}
