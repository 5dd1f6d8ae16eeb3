"""What gateways tell each other on core NATS: ephemeral, and made so that what is lost or crosses does no harm."""

from typing import Annotated

from msgspec import Meta, Struct

Counts = Annotated[dict[str, int], Meta(description="By reaction type.")]
Parts = Annotated[
    dict[str, dict[int, int]],
    Meta(description="By reaction type and part of its counter: the part's value. A total is the sum over the parts."),
]


class ReactionPulse(Struct, frozen=True, kw_only=True):
    """`pulse.<shard>.<stream_id>`, JSON: what one gateway has just counted, and all it knows of those counters."""

    counts: Counts
    parts: Parts
