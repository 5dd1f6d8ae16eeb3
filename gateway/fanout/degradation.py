"""What a stream's viewers are given when it grows too large for everything: the row of the table that is in force.

Decided by one gateway for all that have viewers of the stream (of those heard of lately the one whose name sorts first),
from what each measures, and announced on the pulse; so all sample alike. Below the table's second row nobody says anything,
unless the first one leaves something out already.
"""

import msgspec
from msgspec import Struct

from infra.clock import Clock
from infra.policy import Row
from infra.settings import Settings

#: A gateway that was not heard of for so long decides nothing any more (three reports missed).
EXPIRES_S = 3.5
#: Down a row only well below its threshold, so that a crowd at the edge does not make it flap.
DOWN = 0.8
#: Seconds of slow delivery after which less is shown, and of fast delivery after which more is.
SLOW_S, FAST_S = 3, 10
LEAST_FACTOR = 1 / 64
#: A share that moved by less is not worth telling.
NOTABLE = 0.1
#: Gateways whose reports are kept for one stream.
MOST_GATEWAYS = 4096


class Report(Struct, frozen=True, tag="report", tag_field="kind"):
    """What one gateway measured in the last second.

    `delivery_ms`: how long after it came an item had reached its last viewer, the slowest. `inflow`: what the comments of the
    log's busiest second weigh, so that a share of `per_s / inflow` shows `per_s` of them at most.
    """

    by: str
    delivery_ms: float
    inflow: float


class InForce(Struct, frozen=True, tag="policy", tag_field="kind"):
    """The row in force. `share` of the comments are shown, and at most `per_s` of a second's (0: no limit)."""

    by: str
    row: int
    interval_ms: int
    items: int
    share: float
    per_s: int

    @property
    def samples(self) -> bool:
        """Whether anything is left out, or would be as soon as a second has more than its limit."""
        return self.share < 1.0 or self.per_s > 0


_Message = Report | InForce


class Degradation:
    """One stream's, in one gateway. Pure but for the clock."""

    __slots__ = ("_clock", "_factor", "_fast", "_gateway", "_reports", "_settings", "_slow", "_told", "in_force")

    def __init__(self, gateway: str, settings: Settings, clock: Clock) -> None:
        self._gateway = gateway
        self._settings = settings
        self._clock = clock
        self._reports: dict[str, tuple[float, Report]] = {}
        self._told: tuple[float, InForce] | None = None
        self._factor = 1.0
        self._slow = self._fast = 0
        # From the first comment: what leaves half out would show all of a short burst until the first tick, up to a second.
        self.in_force = self._of(0, settings.policy.rows[0].rate)

    @property
    def concerned(self) -> bool:
        """Whether something else than the first row is, or was lately, in force."""
        return self._told is not None

    def starts_at(self) -> int:
        """The least number of viewers, over all gateways, that makes reports worth their while."""
        first, *later = self._settings.policy.rows
        if first.rate < 1 or first.per_s:
            # A first row that leaves something out is meant for everybody.
            return 0
        return min([self._settings.sample_from, *(row.viewers for row in later)])

    def take(self, payload: bytes) -> bool:
        """Take a message of the pulse; False when it is none of these."""
        if not payload.startswith((b'{"kind":"report"', b'{"kind":"policy"')):
            return False
        try:
            message = msgspec.json.decode(payload, type=_Message)
        except msgspec.MsgspecError:
            return True
        now = self._clock.monotonic()
        if isinstance(message, Report):
            if message.by in self._reports or len(self._reports) < MOST_GATEWAYS:
                self._reports[message.by] = now, message
        elif message.by <= self._decider(now):
            self._told = now, message
            self.in_force = message
        return True

    def tick(self, viewers: int, delivery_ms: float, inflow: float) -> list[bytes]:
        """Once a second, with the viewers over all gateways and this one's own measurements: what to tell on the pulse."""
        now = self._clock.monotonic()
        if viewers < self.starts_at() and not self.concerned:
            return []
        own = Report(self._gateway, delivery_ms, inflow)
        self._reports[self._gateway] = now, own
        for name in [name for name, (seen, _) in self._reports.items() if now - seen > EXPIRES_S]:
            del self._reports[name]
        out = [msgspec.json.encode(own)]
        if self._decider(now) == self._gateway:
            decided = self._decide(viewers)
            out.append(msgspec.json.encode(decided))
            quiet = decided.row == 0 and not decided.samples and viewers < self.starts_at()
            self._told = None if quiet else (now, decided)
            self.in_force = decided
        elif self._told is not None and now - self._told[0] > EXPIRES_S:
            self._told = None
        return out

    def _decider(self, now: float) -> str:
        heard = [name for name, (seen, _) in self._reports.items() if now - seen <= EXPIRES_S]
        return min([self._gateway, *heard])

    def _decide(self, viewers: int) -> InForce:
        rows = self._settings.policy.rows
        row = max(index for index, each in enumerate(rows) if viewers >= each.viewers)
        if row < self.in_force.row < len(rows) and viewers >= rows[self.in_force.row].viewers * DOWN:
            row = self.in_force.row
        slowest = max(report.delivery_ms for _, report in self._reports.values())
        inflow = max(report.inflow for _, report in self._reports.values())
        self._adapt(viewers, slowest)
        share = rows[row].rate * self._factor
        if rows[row].per_s and inflow > 0:
            share = min(share, rows[row].per_s / inflow)
        if row == self.in_force.row and share < 1.0 and abs(share - self.in_force.share) < NOTABLE * self.in_force.share:
            share = self.in_force.share
        return self._of(row, share)

    def _adapt(self, viewers: int, slowest_ms: float) -> None:
        limit = self._settings.sample_delivery_ms
        self._slow = self._slow + 1 if slowest_ms > limit and viewers >= self._settings.sample_from else 0
        self._fast = self._fast + 1 if slowest_ms < limit / 2 else 0
        if self._slow >= SLOW_S:
            self._factor, self._slow = max(self._factor / 2, LEAST_FACTOR), 0
        elif self._fast >= FAST_S and self._factor < 1.0:
            self._factor, self._fast = min(self._factor * 2, 1.0), 0

    def _of(self, index: int, share: float) -> InForce:
        row: Row = self._settings.policy.rows[index]
        interval = max(self._settings.window_ms, row.interval_ms)
        return InForce(self._gateway, index, interval, row.items, share, row.per_s)
