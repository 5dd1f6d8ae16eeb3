"""A window: the batch of items one flush delivers, as a value that could have been made elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.fanout.deflate import packed
from gateway.fanout.wire import Wire
from gateway.shown import Shown

#: What an item and a window weigh in memory besides their bytes (measured with tracemalloc, rounded up).
ITEM_BYTES = 350
WINDOW_BYTES = 400


@dataclass(slots=True, eq=False)
class Window:
    """`prev < seq <= to`: everything of the stream in that range, or one cohort's share of it.

    Frames are encoded when the first viewer needs them, once for all who do. `cuts` holds one window for each cohort
    where the stream was sampled; `sampled` says how much a cut shows: (shown, of).
    """

    prev: int
    to: int
    items: tuple[Shown, ...]
    made_at: float
    sampled: tuple[int, int] | None = None
    cuts: tuple["Window", ...] = ()
    size: int = field(init=False)
    _frames: dict[Wire, bytes] = field(init=False, default_factory=dict)
    _packed: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        # Three times the items' bytes: their own, and a frame's for each of the two protocols, which cuts have instead.
        copies = 1 if self.cuts else 3
        self.size = WINDOW_BYTES + sum(copies * len(item.data) + ITEM_BYTES for item in self.items)
        self.size += sum(WINDOW_BYTES + sum(2 * len(item.data) for item in cut.items) for cut in self.cuts)

    def cut(self, cohort: int) -> "Window":
        """What viewers of *cohort* are shown of it."""
        return self.cuts[cohort] if self.cuts else self

    def frame(self, wire: Wire) -> bytes:
        """The whole delivery, plain."""
        found = self._frames.get(wire)
        if found is None:
            found = self._frames[wire] = self._encoded(wire, self.prev)
        return found

    def packed(self, wire: Wire) -> bytes:
        """The whole delivery, deflated on its own."""
        if not self._packed:
            self._packed = packed(self.frame(wire))
        return self._packed

    def after(self, position: int, wire: Wire) -> bytes:
        """The delivery for a viewer whose position lies inside this window: other gateways cut their windows elsewhere."""
        return self.frame(wire) if position == self.prev else self._encoded(wire, position)

    def rewritten(self, reason_of: Callable[[Shown], str | None]) -> "Window":
        """The same window with a placeholder for each comment that *reason_of* gives a reason to hide."""
        items = tuple(as_decided(item, reason_of) for item in self.items)
        if all(new is old for new, old in zip(items, self.items, strict=True)):
            return self
        cuts = tuple(cut.rewritten(reason_of) for cut in self.cuts)
        return Window(self.prev, self.to, items, self.made_at, self.sampled, cuts)

    def _encoded(self, wire: Wire, position: int) -> bytes:
        items = (item.data for item in self.items if item.seq > position)
        return wire.comments(position, self.to, items, sampled=self.sampled)


def as_decided(item: Shown, reason_of: Callable[[Shown], str | None]) -> Shown:
    """*item*, or the placeholder in its place."""
    if item.removed is not None or (reason := reason_of(item)) is None:
        return item
    return item.hidden(reason)
