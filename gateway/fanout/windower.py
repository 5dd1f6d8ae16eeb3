"""Turns a feed that may lose into an unbroken run of windows. Pure: no I/O, no clock of its own.

`prev` is this part's own account, the `to` of the window before. What the log says came before a message is a check:
above our last seq means that something was lost on the feed, and nothing is taken until it was read from the log.
"""

from gateway.fanout.sampling import weight_of
from gateway.fanout.window import Window
from gateway.removals import Removals
from gateway.shown import Shown, show
from infra.jetstream.feed import FeedMessage
from infra.jetstream.reader import LogMessage
from infra.policy import Weights
from schemas.codec import decode_item
from schemas.items import Item

#: Items of one window, and about their bytes: what a viewer's socket takes in one write. Larger ones would make everybody slow
#: at once, exactly when a gateway is behind.
MOST = 1000
MOST_BYTES = 32 * 1024


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
        self._pending: list[Shown] = []
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

    def flush(self, now: float, most: int = MOST) -> Window:
        """Make the window of what was taken since the last one, at most *most* items and about `MOST_BYTES` of it."""
        most = _fitting(self._pending, most)
        taken, self._pending = self._pending[:most], self._pending[most:]
        to = taken[-1].seq if self._pending else self.last
        made = Window(self.position, to, tuple(taken), now)
        self.position = to
        return made

    def hide(self) -> None:
        """Apply the decisions to what is pending."""
        for index, item in enumerate(self._pending):
            reason = self.reason_of(item)
            if reason and item.removed is None:
                self._pending[index] = item.hidden(reason)

    def reason_of(self, item: Shown) -> str | None:
        """Why an item is hidden, by the decisions known now."""
        if item.comment_id is None:
            return None
        return self.removals.reason(item.comment_id, item.author_id or "", item.seq)

    def _accept(self, seq: int, at_ms: int, payload: bytes) -> None:
        shown = show(self._stream_id, payload, seq, at_ms, self.removals)
        self.last = seq
        self.wanted = max(self.wanted, seq)
        if shown is None:
            return
        weight = weight_of(shown.comment, self._weights) if shown.comment is not None else 0.0
        self._pending.append(shown.kept(weight))
        if shown.kind in ("removed", "restored", "purged") and shown.removed is None:
            self._learn(payload, seq)

    def _learn(self, payload: bytes, seq: int) -> None:
        item: Item = decode_item(payload)
        self.removals.learn(item, seq)
        self.hide()
        self.rewrite_due = True


def _fitting(items: list[Shown], most: int) -> int:
    """How many of the first *most* items go into a window by their bytes; at least one."""
    size = 0
    for index, item in enumerate(items[:most]):
        size += len(item.data)
        if size > MOST_BYTES:
            return max(1, index)
    return most
