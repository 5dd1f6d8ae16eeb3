"""What one SSE event carries. Built by hand on the hot path (`gateway.fanout.sse`); these structs are its contract."""

from msgspec import Struct, field

from schemas.items import Item, Seq, Time


class Sampled(Struct, frozen=True, kw_only=True):
    """How much of a window was shown; the rest can be fetched from the comments' page."""

    shown: int
    of: int


class Delivery(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`event: comments`. `prev` equals the `to` before it on this connection; `id:` equals `to`."""

    prev: Seq
    from_: Seq = field(name="from")
    to: Seq
    backfill: bool
    items: list[Item]
    sampled: Sampled | None = None


class ReactionBurst(Struct, frozen=True, kw_only=True):
    """`event: reactions`: what came since the last one, and the totals."""

    counts: dict[str, int]
    totals: dict[str, int]
    at: Time


class ViewerCount(Struct, frozen=True, kw_only=True):
    """`event: viewers`."""

    count: int
    approximate: bool


class Gap(Struct, frozen=True, kw_only=True):
    """`event: gap`: what cannot be delivered, both ends inclusive; the next `prev` equals `to`."""

    from_: Seq = field(name="from")
    to: Seq
    reason: str
