"""ISO 14496-12 boxes, as bytes."""

import struct

#: The transformation that changes nothing (6.2.2).
IDENTITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def box(kind: bytes, *bodies: bytes) -> bytes:
    """A box with its size."""
    body = b"".join(bodies)
    return struct.pack(">I", len(body) + 8) + kind + body


def full_box(kind: bytes, version: int, flags: int, *bodies: bytes) -> bytes:
    """A box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *bodies)


def descriptor(tag: int, *bodies: bytes) -> bytes:
    """An ISO 14496-1 descriptor; its size takes four bytes, as every reader understands."""
    body = b"".join(bodies)
    size = len(body)
    length = bytes((size >> 21 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size & 0x7F))
    return bytes((tag,)) + length + body
