"""Messages to bytes. What we send is rare and small, so every message begins with a full (type-0) header."""

from workers.media.rtmp.chunks import EXTENDED
from workers.media.rtmp.message import SET_CHUNK_SIZE, Message

#: Chunk stream of protocol control messages (RTMP 1.0, section 5.4).
CONTROL_CHANNEL = 2
COMMAND_CHANNEL = 3


class ChunkWriter:
    """Cuts messages into chunks of the size that was announced."""

    def __init__(self) -> None:
        self.chunk_size = 128

    def write(self, message: Message, channel: int = COMMAND_CHANNEL) -> bytes:
        """Encode *message* on chunk stream *channel* (2-63)."""
        field = min(message.timestamp, EXTENDED)
        extended = message.timestamp.to_bytes(4, "big") if field == EXTENDED else b""
        out = bytearray((channel,))
        out += field.to_bytes(3, "big") + len(message.payload).to_bytes(3, "big") + bytes((message.type,))
        out += message.stream_id.to_bytes(4, "little") + extended
        out += message.payload[: self.chunk_size]
        for at in range(self.chunk_size, len(message.payload), self.chunk_size):
            out.append(0xC0 | channel)
            out += extended + message.payload[at : at + self.chunk_size]
        if message.type == SET_CHUNK_SIZE:
            self.chunk_size = int.from_bytes(message.payload[:4], "big")
        return bytes(out)

    def control(self, kind: int, payload: bytes) -> bytes:
        """Encode a protocol control message."""
        return self.write(Message(kind, 0, 0, payload), CONTROL_CHANNEL)
