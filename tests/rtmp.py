"""An RTMP publisher by hand, for what an encoder never does: stopping half-way, saying nothing, saying nonsense.

Writes its own chunks; only what the server answers is read with our reader.
"""

import asyncio
import ssl
import struct
from collections.abc import Mapping

from workers.media.rtmp.amf import Value, decode, encode
from workers.media.rtmp.chunks import ChunkReader
from workers.media.rtmp.message import COMMAND, Message


def chunk(kind: int, payload: bytes, *, channel: int = 3, timestamp: int = 0, stream_id: int = 0) -> bytes:
    """One message as a type-0 chunk and its type-3 continuations, with chunks of 128 bytes."""
    extended = struct.pack(">I", timestamp) if timestamp >= 0xFFFFFF else b""
    out = bytes((channel,)) + struct.pack(">I", min(timestamp, 0xFFFFFF))[1:] + struct.pack(">I", len(payload))[1:]
    out += bytes((kind,)) + struct.pack("<I", stream_id) + extended + payload[:128]
    for at in range(128, len(payload), 128):
        out += bytes((0xC0 | channel,)) + extended + payload[at : at + 128]
    return out


def command(*values: Value, stream_id: int = 0) -> bytes:
    """A command message."""
    return chunk(COMMAND, encode(*values), stream_id=stream_id)


HELLO = b"\x03" + bytes(1536)
CONNECT = command("connect", 1.0, {"app": "live", "type": "nonprivate", "tcUrl": "rtmp://localhost/live"})


class Publisher:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._chunks = ChunkReader()

    @classmethod
    async def connect(cls, host: str, port: int, trusted: ssl.SSLContext | None = None) -> "Publisher":
        """Open the connection, over TLS with *trusted*; nothing is said yet."""
        name = "localhost" if trusted else None
        return cls(*await asyncio.open_connection(host, port, ssl=trusted, server_hostname=name))

    async def shake(self) -> None:
        """The handshake."""
        self.writer.write(HELLO)
        await self.reader.readexactly(1 + 2 * 1536)
        self.writer.write(bytes(1536))

    async def publish(self, key: str) -> Mapping[str, Value]:
        """Shake hands, connect, and publish; returns the information object of the first `onStatus`."""
        await self.shake()
        self.writer.write(CONNECT + command("createStream", 2.0, None))
        self.writer.write(command("publish", 3.0, None, key, "live", stream_id=1))
        return await self.status()

    async def status(self) -> Mapping[str, Value]:
        """The information object of the next `onStatus`."""
        while True:
            message = await self.message()
            if message.type == COMMAND and (values := decode(message.payload))[0] == "onStatus":
                status = values[3]
                assert isinstance(status, Mapping)
                return status

    def send(self, kind: int, payload: bytes, timestamp: int = 0) -> None:
        """A media message."""
        self.writer.write(chunk(kind, payload, channel=6, timestamp=timestamp, stream_id=1))

    async def message(self) -> Message:
        """The next message from the server."""
        found = next(self._chunks.feed(b""), None)
        while found is None:
            data = await self.reader.read(4096)
            assert data, "the server closed the connection"
            found = next(self._chunks.feed(data), None)
        return found

    async def finish(self) -> None:
        """Wait until the server closes."""
        try:
            while await self.reader.read(4096):
                pass
        except ConnectionResetError:
            pass
        finally:
            self.writer.close()
