"""What a protocol has to be able to say to a viewer: Server-Sent Events (`sse`) and WebSocket frames are two of them."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway.shown import Shown


class Wire(Protocol):
    """Encodes deliveries. Every frame is complete, and the same bytes for all viewers with an equal wire."""

    @property
    def HEARTBEAT(self) -> bytes:  # noqa: N802 - a module's constant
        """What keeps a silent connection open; empty where its protocol sees to that for each connection."""

    @property
    def MOST_BYTES(self) -> int:  # noqa: N802 - as above
        """About how many bytes of items clients take in one delivery."""

    def comments(
        self, prev: int, to: int, items: Iterable[bytes], *, backfill: bool = False, sampled: tuple[int, int] | None = None
    ) -> bytes:
        """A delivery: `prev < seq <= to`."""

    def gap(self, from_: int, to: int, reason: str) -> bytes:
        """What cannot be delivered, both ends inclusive."""

    def event(self, name: str, data: object) -> bytes:
        """Something ephemeral: reactions, viewer counts."""

    def retry(self, ms: int) -> bytes:
        """After how long to come back, once the connection has ended."""


def deliveries(wire: Wire, prev: int, to: int, items: Sequence[Shown], *, backfill: bool = False) -> bytes:
    """*items*, all that is shown of `prev < seq <= to`, in one delivery; in several where one would be too large."""
    frames: list[bytes] = []
    some: list[Shown] = []
    size = 0
    for item in items:
        if some and size + len(item.data) > wire.MOST_BYTES:
            frames.append(wire.comments(prev, some[-1].seq, (each.data for each in some), backfill=backfill))
            prev, some, size = some[-1].seq, [], 0
        some.append(item)
        size += len(item.data)
    return b"".join([*frames, wire.comments(prev, to, (each.data for each in some), backfill=backfill)])
