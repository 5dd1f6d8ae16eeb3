"""A stretch of one stream's history, as a value that viewers share."""

from msgspec import Struct

from gateway.fanout.window import ITEM_BYTES, WINDOW_BYTES
from gateway.shown import Shown


class Page(Struct, frozen=True):
    """Everything of the stream with `after < seq <= to`; with a `lost` reason: nothing of it can be delivered any more."""

    after: int
    to: int
    items: tuple[Shown, ...]
    lost: str = ""

    @property
    def size(self) -> int:
        """About its bytes in memory."""
        return WINDOW_BYTES + sum(len(item.data) + ITEM_BYTES for item in self.items)
