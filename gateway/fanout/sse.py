"""The frames of Server-Sent Events (WHATWG HTML, section 9.2), made once and shared by all viewers.

Bodies end with the connection and are not chunked: a frame is the same bytes for every viewer, HTTP/1.0 proxies included.
"""

import sys
from collections.abc import Iterable

import msgspec

HEARTBEAT = b":\n\n"
#: Clients have no limit that is usual; a backfill has at most 500 items.
MOST_BYTES = sys.maxsize


def comments(
    prev: int, to: int, items: Iterable[bytes], *, backfill: bool = False, sampled: tuple[int, int] | None = None
) -> bytes:
    """`event: comments`: the only event that carries an id, so that a resume never skips. *sampled* is (shown, of)."""
    return b'id: %d\nevent: comments\ndata: {"prev":%d,"from":%d,"to":%d,"backfill":%b,%b"items":[%b]}\n\n' % (
        to,
        prev,
        min(prev + 1, to),
        to,
        b"true" if backfill else b"false",
        b'"sampled":{"shown":%d,"of":%d},' % sampled if sampled else b"",
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
