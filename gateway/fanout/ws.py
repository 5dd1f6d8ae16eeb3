"""The frames of WebSocket (RFC 6455): what `sse` says, as JSON text messages.

A server's frames are not masked, and nothing is compressed: a frame is the same bytes for all viewers of a stream.
"""

from collections.abc import Iterable
from typing import ClassVar

import msgspec
from msgspec import Struct
from websockets.frames import Frame, Opcode

from schemas.socket import Reconnect

_NAMES = {"reactions": "reactions_batch", "viewers": "viewer_count"}

PING = Frame(Opcode.PING, b"").serialize(mask=False)


def text(payload: bytes) -> bytes:
    """One whole text message as a frame."""
    return Frame(Opcode.TEXT, payload).serialize(mask=False)


def message(value: Struct) -> bytes:
    """One of `schemas.socket`'s messages as a frame."""
    return text(msgspec.json.encode(value))


class SocketWire(Struct, frozen=True):
    """The messages of one stream, which name it. Equal for all its viewers, wherever it was made."""

    stream_id: str

    #: Connections are pinged one by one, whether they watch a stream or not.
    HEARTBEAT: ClassVar[bytes] = b""
    #: Many clients stop at 64 KiB, commas and the rest of the message included.
    MOST_BYTES: ClassVar[int] = 60 * 1024

    def comments(
        self, prev: int, to: int, items: Iterable[bytes], *, backfill: bool = False, sampled: tuple[int, int] | None = None
    ) -> bytes:
        """`comments_batch`. *sampled* is (shown, of)."""
        return text(
            b'{"type":"comments_batch","stream_id":"%b","prev":%d,"from":%d,"to":%d,"is_backfill":%b,%b"comments":[%b]}'
            % (
                self.stream_id.encode(),
                prev,
                min(prev + 1, to),
                to,
                b"true" if backfill else b"false",
                b'"sampled":{"shown":%d,"of":%d},' % sampled if sampled else b"",
                b",".join(items),
            )
        )

    def gap(self, from_: int, to: int, reason: str) -> bytes:
        """`gap`: what cannot be delivered, both ends inclusive."""
        return text(
            b'{"type":"gap","stream_id":"%b","from":%d,"to":%d,"reason":"%b"}'
            % (self.stream_id.encode(), from_, to, reason.encode())
        )

    def event(self, name: str, data: object) -> bytes:
        """`reactions_batch` and `viewer_count`."""
        fields = msgspec.to_builtins(data)
        return text(msgspec.json.encode({"type": _NAMES[name], "stream_id": self.stream_id, **fields}))

    def retry(self, ms: int) -> bytes:
        """`reconnect`."""
        return message(Reconnect(retry_ms=ms))
