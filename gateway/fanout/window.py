"""A window: the batch of items one flush delivers, as a value that could have been made elsewhere."""

from collections.abc import Callable, Sequence

from msgspec import Struct

from gateway.fanout import sse
from gateway.shown import Shown


class Window(Struct, frozen=True):
    """`prev < seq <= to`: everything of the stream in that range. `plain` and `deflated` are the frame, ready to send."""

    prev: int
    to: int
    items: tuple[Shown, ...]
    plain: bytes
    deflated: bytes
    made_at: float

    @property
    def size(self) -> int:
        """Bytes it holds on to: the frames, and the items kept for partial deliveries and rewriting."""
        return 2 * len(self.plain) + len(self.deflated)

    def after(self, position: int) -> bytes:
        """The frame for a viewer whose position lies inside this window: other gateways cut their windows elsewhere."""
        return sse.comments(position, self.to, (item.data for item in self.items if item.seq > position))

    def rewritten(self, reason_of: Callable[[Shown], str | None]) -> "Window":
        """The same window with a placeholder for each comment that *reason_of* gives a reason to hide."""
        reasons = [(item, reason_of(item)) for item in self.items]
        if not any(reason and item.removed is None for item, reason in reasons):
            return self
        items = tuple(item.hidden(reason) if reason and item.removed is None else item for item, reason in reasons)
        return window(self.prev, self.to, items, self.made_at)


def window(prev: int, to: int, items: Sequence[Shown], made_at: float) -> Window:
    """Make a window and encode it, once for all viewers."""
    plain = sse.comments(prev, to, (item.data for item in items))
    return Window(prev, to, tuple(items), plain, sse.deflated(plain), made_at)
