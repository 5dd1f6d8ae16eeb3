"""Turns a feed that may lose into an unbroken run of windows. Pure: no I/O, no clock of its own.

`prev` is this part's own account, the `to` of the window before. What the log says came before a message is a check:
above our last seq means that something was lost on the feed, and nothing is taken until it was read from the log.
"""

from collections import deque
from itertools import islice

from gateway.fanout.cuts import Cuts
from gateway.fanout.sampling import Draws, always_shown, weight_of
from gateway.fanout.window import Window
from gateway.removals import Removals
from gateway.shown import Shown, show
from infra.jetstream.feed import FeedMessage
from infra.jetstream.reader import LogMessage
from infra.policy import Weights
from schemas.codec import decode_item
from schemas.items import Comment, Item

#: Items that a window shows, and about their bytes: what a viewer's socket takes in one write. Larger ones would make everybody
#: slow at once, exactly when a gateway is behind. Smaller ones keep it there: 1,000 comments/s fill 32 kB in 95 ms, and 5,000
#: viewers with those posts are all that a slow core does meanwhile. With commas and its frame a window stays below 64 KiB, a
#: usual limit of WebSocket clients.
MOST = 1000
MOST_BYTES = 60 * 1024
#: Items that a window of a sampled stream takes, shown or not: to draw them holds the loop for 5 to 10 ms. And about their
#: bytes: the ring, 4 MiB by default, is to hold some windows also where comments are long; 1,500 of the longest have 3.3 MB.
MOST_DRAWN = 1500
MOST_DRAWN_BYTES = 1280 * 1024
#: Bytes of items that wait, and what comes during a flush. Above it comments are left out until nothing waits any more: at
#: 10,000 viewers it is half a minute of what 2,500 comments/s bring more than can be written plainly.
MOST_WAITING = 16 * 1024 * 1024
#: How full a window is meant to be while comments are left out: chance alone would fill every other one before its end.
FILL = 0.75
#: Arrivals are told apart to this many seconds.
APART_S = 0.01


class Windower:
    """One stream's account of what was taken (`last`), what was flushed (`position`) and what must be read (`wanted`)."""

    def __init__(self, stream_id: str, base: int, removals: Removals, weights: Weights | None = None) -> None:
        """Start after *base*, the stream's tail, with all that is decided on its comments."""
        self._stream_id = stream_id
        self._weights = weights or Weights()
        self.removals = removals
        self.position = base
        self.last = base
        self.wanted = base
        self._pending: deque[Shown] = deque()
        self._draws = Draws()
        #: The seq of the last decision: what was taken before it is looked at again when it is flushed.
        self._decided = 0
        #: When what waits came: up to which seq, and since when at the earliest.
        self._arrived: deque[tuple[int, float]] = deque()
        #: The log's second that came last, the weight of its comments, and the most of any second since `inflow` was called.
        self._second, self._weight, self._busiest = 0, 0.0, 0.0
        #: Bytes of the items that wait.
        self.waiting = 0
        #: Whether more waited than is kept, and comments are left out until nothing does.
        self.shedding = False
        #: Set when a decision came that concerns windows already flushed.
        self.rewrite_due = False

    @property
    def behind(self) -> bool:
        """Whether the log holds something the feed did not bring."""
        return self.wanted > self.last

    @property
    def pending(self) -> int:
        """Items waiting for the next flush."""
        return len(self._pending)

    @property
    def dirty(self) -> bool:
        """Whether a flush would move the position."""
        return self.last > self.position

    @property
    def waiting_since(self) -> float | None:
        """When the oldest that the next flush takes had come, as far as `note` was told."""
        return self._arrived[0][1] if self._arrived else None

    def note(self, now: float) -> None:
        """Note that what was taken since the last call has come by *now*."""
        if self._arrived and now - self._arrived[-1][1] < APART_S:
            self._arrived[-1] = self.last, self._arrived[-1][1]
        elif self.last > (self._arrived[-1][0] if self._arrived else self.position):
            self._arrived.append((self.last, now))

    def inflow(self) -> float:
        """What comments weigh that the busiest second of the log has, of those that came since the last call.

        Those that are always shown weigh nothing. By the log's seconds, so that a repair after an outage is no burst.
        """
        busiest, self._busiest = self._busiest, 0.0
        return busiest

    def take(self, message: FeedMessage) -> bool:
        """Take a message off the feed; False when the log must be read first (`behind`)."""
        if message.seq <= self.last:
            return True
        if self.behind or message.last_seq > self.last:
            self.wanted = max(self.wanted, message.seq)
            return False
        self._accept(message.seq, message.at_ms, message.payload)
        return True

    def expect(self, tail: int) -> bool:
        """Note the stream's tail in the log; False when the log must be read."""
        self.wanted = max(self.wanted, tail)
        return not self.behind

    def fill(self, messages: list[LogMessage], until: int) -> None:
        """Take what was read from the log after `last` and up to *until*; what is missing in between was erased."""
        for message in messages:
            if message.seq > self.last:
                self._accept(message.seq, message.at_ms, message.payload)
        self.last = max(self.last, until)
        self.wanted = max(self.wanted, self.last)

    def flush(self, now: float, most: int = MOST, *, share: float = 1.0, per_s: int = 0) -> Window:
        """Make the window of what was taken since the last one: it shows at most *most* items and about `MOST_BYTES` of them.

        Of the comments it shows about *share*, and at most *per_s* of each second of the log (0: no such limit); of a backlog
        above `MOST_WAITING` as many as fit.
        """
        self.shedding = bool(self._pending) and (self.shedding or self.waiting > MOST_WAITING)
        if self.shedding:
            share = min(share, self._fitting_share())
        cuts = Cuts(most, MOST_BYTES)
        if share < 1.0 or per_s:
            self._draw(cuts, share, per_s)
        else:
            while self._pending and cuts.has_room(self._pending[0]):
                cuts.add(self._next(), (0,))
        to = cuts.items[-1].seq if self._pending else self.last
        if share < 1.0 or (per_s and not cuts.whole):
            made = cuts.window(self.position, to, now)
        else:
            made = Window(self.position, to, tuple(cuts.items), now)
        self.position = to
        while self._arrived and self._arrived[0][0] <= to:
            self._arrived.popleft()
        return made

    def reason_of(self, item: Shown) -> str | None:
        """Why an item is hidden, by the decisions known now."""
        if item.comment_id is None:
            return None
        return self.removals.reason(item.comment_id, item.author_id or "", item.seq)

    def _draw(self, cuts: Cuts, share: float, per_s: int) -> None:
        for _ in range(self._reach()):
            room = cuts.has_room(self._pending[0])
            if not room and (not self.shedding or always_shown(self._pending[0])):
                return
            item = self._next()
            cuts.add(item, self._draws.draw(item, share, per_s) if room else ())

    def _fitting_share(self) -> float:
        """The share with which what a window takes at most fills its bytes."""
        weight = sum(len(item.data) * item.weight for item in islice(self._pending, self._reach()))
        return FILL * MOST_BYTES / weight if weight > FILL * MOST_BYTES else 1.0

    def _reach(self) -> int:
        """How many of what waits a window of a sampled stream takes at most."""
        size = 0
        for number, item in enumerate(islice(self._pending, MOST_DRAWN)):
            size += len(item.data)
            if size > MOST_DRAWN_BYTES:
                return max(1, number)
        return min(len(self._pending), MOST_DRAWN)

    def _next(self) -> Shown:
        """The oldest item that waits, by the decisions known now."""
        item = self._pending.popleft()
        self.waiting -= len(item.data)
        if item.seq < self._decided and item.removed is None and (reason := self.reason_of(item)):
            return item.hidden(reason)
        return item

    def _accept(self, seq: int, at_ms: int, payload: bytes) -> None:
        shown = show(self._stream_id, payload, seq, at_ms, self.removals)
        self.last = seq
        self.wanted = max(self.wanted, seq)
        if shown is None:
            return
        weight = 0.0
        if shown.comment_id is not None:
            # One that was removed already weighs what it would have: elsewhere it was drawn before the removal came.
            comment = shown.comment or decode_item(payload)
            weight = weight_of(comment, self._weights) if isinstance(comment, Comment) else 0.0
            if at_ms // 1000 != self._second:
                self._second, self._weight = at_ms // 1000, 0.0
            self._weight += weight
            self._busiest = max(self._busiest, self._weight)
        self._pending.append(shown.kept(weight))
        self.waiting += len(shown.data)
        if shown.kind in ("removed", "restored", "purged") and shown.removed is None:
            self._learn(payload, seq)

    def _learn(self, payload: bytes, seq: int) -> None:
        item: Item = decode_item(payload)
        self.removals.learn(item, seq)
        self._decided = seq
        self.rewrite_due = True
