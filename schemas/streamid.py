"""Stream ids: UUIDv7 (RFC 9562), so that ids of later streams sort after earlier ones."""

import re
import secrets

STREAM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_stream_id(now_ms: int) -> str:
    """Make a UUIDv7 whose first 48 bits are *now_ms*, the rest random."""
    value = (now_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def made_ms(stream_id: str) -> int:
    """When *stream_id* was made."""
    return int(stream_id[:8] + stream_id[9:13], 16)


def is_stream_id(text: str) -> bool:
    """Tell whether *text* is a lower-case UUIDv7: the only form that may become part of a subject or a path."""
    return STREAM_ID.fullmatch(text) is not None
