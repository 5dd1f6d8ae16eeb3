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


class StreamPresence(Struct, frozen=True, array_like=True, gc=False):
    """One stream's viewers in one gateway; nobody at all when both numbers are 0."""

    stream_id: str
    #: Connections without a credential: each is a person of its own, in one gateway only.
    anonymous: int
    #: Distinct people with a credential.
    people: int
    #: The smallest hashes of those people (all, up to a bound), 8 bytes little-endian each. None: as told before.
    sample: bytes | None = None


class PresenceMessage(Struct, frozen=True, array_like=True):
    """`presence.<gateway>`, MessagePack: what changed in one gateway, or a part of everything it has."""

    gateway: str
    #: Counts this gateway's messages from 1; a hole means that something was lost.
    seq: int
    #: This begins, this ends a telling of everything, parts of which may lie between and changes among them.
    begins: bool
    ends: bool
    #: Gateways that are asked to tell everything; `*` asks all.
    asks: list[str]
    streams: list[StreamPresence]
