"""The frames of Server-Sent Events (WHATWG HTML, section 9.2), made once and shared by all viewers.

Bodies end with the connection and are not chunked: a frame is the same bytes for every viewer, HTTP/1.0 proxies included.
A deflated frame is complete in itself (full flush, fresh context), so a viewer may join, skip and leave between any two.
"""

import zlib
from collections.abc import Iterable

import msgspec

#: RFC 1952: magic, deflate, no flags, no time, unknown OS. What follows is one deflate stream that never ends by itself.
GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
#: Level 1 takes 104 us for 13 kB where 6 takes 172 us and saves two points; facts measured on one core.
LEVEL = 1


def deflated(frame: bytes) -> bytes:
    """Compress *frame* into blocks that depend on nothing before them."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
    return packer.compress(frame) + packer.flush(zlib.Z_FULL_FLUSH)


def comments(prev: int, to: int, items: Iterable[bytes], *, backfill: bool = False) -> bytes:
    """`event: comments`: the only event that carries an id, so that a resume never skips."""
    return b'id: %d\nevent: comments\ndata: {"prev":%d,"from":%d,"to":%d,"backfill":%b,"items":[%b]}\n\n' % (
        to,
        prev,
        min(prev + 1, to),
        to,
        b"true" if backfill else b"false",
        b",".join(items),
    )


def gap(from_: int, to: int, reason: str) -> bytes:
    """`event: gap`: what cannot be delivered, both ends inclusive."""
    return b'event: gap\ndata: {"from":%d,"to":%d,"reason":"%b"}\n\n' % (from_, to, reason.encode())


def event(name: str, data: object) -> bytes:
    """An event without id."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))


def retry(ms: int) -> bytes:
    """Tell the client after how many milliseconds to come back, should this connection end."""
    return b"retry: %d\n\n" % ms


HEARTBEAT = b":\n\n"
HEARTBEAT_DEFLATED = deflated(HEARTBEAT)
