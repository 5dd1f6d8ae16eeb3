"""Bytes to messages: RTMP chunk streams (RTMP 1.0, section 5.3), sans-IO.

Three rules here are where readers go wrong; each lost a real encoder's clock once:

* A type-3 chunk that begins a *new* message repeats the last delta (encoders send it for audio frames of equal size).
* After a type-0 header that delta is the type-0's own timestamp field.
* With an extended timestamp, continuation chunks repeat the four bytes; old encoders leave them out, so they are
  consumed only when they equal the stored value.
"""

from collections.abc import Iterator
from typing import NamedTuple

from workers.media.rtmp.errors import ProtocolError
from workers.media.rtmp.message import ABORT, AGGREGATE, AUDIO, SET_CHUNK_SIZE, VIDEO, Message

#: A keyframe at 50 Mbit/s is about 2 MB.
MAX_MEDIA = 8 * 1024 * 1024
#: A frame of AAC is below 8 kB at the most channels there are.
MAX_AUDIO = 256 * 1024
#: Commands and metadata: `connect` is below 1 kB in every encoder seen, metadata below 4 kB.
MAX_CONTROL = 64 * 1024
_MOST = {AUDIO: MAX_AUDIO, VIDEO: MAX_MEDIA, AGGREGATE: MAX_MEDIA}
#: The specification's own default, and the least any encoder uses. At one byte a chunk, which it allows too, a stream
#: within its bit rate would keep a core busy.
MIN_CHUNK_SIZE = 128
#: Encoders use three to six.
MAX_CHUNK_STREAMS = 64
#: Bytes of begun messages on all chunk streams together.
MAX_PARTIAL = 2 * MAX_MEDIA
EXTENDED = 0xFFFFFF
_WRAP = 0xFFFFFFFF


class _Stream:
    """What the last header on one chunk stream left behind."""

    __slots__ = ("delta", "extended", "length", "partial", "stream_id", "timestamp", "type")

    def __init__(self) -> None:
        self.timestamp = 0
        self.delta = 0
        self.length = 0
        self.type = 0
        self.stream_id = 0
        self.extended: int | None = None
        self.partial: bytearray | None = None


class _Header(NamedTuple):
    """One chunk's header as read: *end* in the buffer, *field* the timestamp field (extended or not), if it has one."""

    end: int
    field: int | None
    extended: int | None
    length: int
    type: int
    stream_id: int


class ChunkReader:
    """Feed it what the socket gave, iterate over the messages that became whole."""

    def __init__(self) -> None:
        self.chunk_size = 128
        self._buffer = bytearray()
        #: Where what is not read yet begins in the buffer: cutting it off after every chunk would move the rest each time.
        self._at = 0
        self._streams: dict[int, _Stream] = {}
        self._partial = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take *data*; the iterator yields each whole message and may be left and asked again with no data.

        Set Chunk Size and Abort are obeyed here and not yielded.

        Raises:
            ProtocolError: from the iterator; the reader is of no use afterwards.
        """
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data
        return self._messages()

    def _messages(self) -> Iterator[Message]:
        while True:
            message = self._continued()
            if message is None:
                consumed, message = self._chunk()
                if not consumed:
                    return
                self._at += consumed
                if message is None:
                    continue
            if message.type == SET_CHUNK_SIZE:
                self._set_chunk_size(message.payload)
            elif message.type == ABORT:
                self._abort(message.payload)
            else:
                yield message

    def _continued(self) -> Message | None:
        """Read on while chunks continue their messages, until one is whole: what most chunks do, in a fraction of the time."""
        buffer, streams = self._buffer, self._streams
        at, have = self._at, len(self._buffer)
        while at < have:
            # A one-byte header of type 3.
            stream = streams.get(buffer[at] & 0x3F) if buffer[at] > 0xC1 else None
            if stream is None or stream.partial is None or stream.extended is not None:
                return None
            partial = stream.partial
            end = at + 1 + min(self.chunk_size, stream.length - len(partial))
            if end > have:
                return None
            partial += buffer[at + 1 : end]
            self._at = at = end
            if len(partial) == stream.length:
                self._drop(stream)
                return Message(stream.type, stream.timestamp, stream.stream_id, bytes(partial))
        return None

    def _chunk(self) -> tuple[int, Message | None]:
        """Read one chunk: how many bytes it took (0: not all there yet) and the message it completed."""
        basic = self._basic()
        if basic is None:
            return 0, None
        form, channel, at = basic
        stream = self._streams.get(channel)
        if stream is None:
            if form > 1:
                msg = f"chunk of type {form} on chunk stream {channel} that has no header yet"
                raise ProtocolError(msg)
            stream = _Stream()
        header = self._header(form, at, stream)
        if header is None:
            return 0, None
        resumes = form == 3 and stream.partial is not None
        have = len(stream.partial) if resumes and stream.partial is not None else 0
        take = min(self.chunk_size, header.length - have)
        end = header.end + take
        if len(self._buffer) < end:
            if not resumes:
                self._check(header)
            return 0, None
        if not resumes:
            self._begin(channel, stream, form, header)
        return end - self._at, self._add(stream, self._buffer[header.end : end])

    def _basic(self) -> tuple[int, int, int] | None:
        """Chunk type, chunk stream id and where the message header begins."""
        buffer, at = self._buffer, self._at
        if at >= len(buffer):
            return None
        form, channel = buffer[at] >> 6, buffer[at] & 0x3F
        if channel > 1:
            return form, channel, at + 1
        end = at + 2 + channel
        if len(buffer) < end:
            return None
        return form, 64 + int.from_bytes(buffer[at + 1 : end], "little"), end

    def _header(self, form: int, at: int, stream: _Stream) -> _Header | None:
        buffer = self._buffer
        end = at + (11, 7, 3, 0)[form]
        if len(buffer) < end:
            return None
        if form == 3:
            if stream.extended is not None:
                repeated = stream.extended.to_bytes(4, "big")
                found = bytes(buffer[end : end + 4])
                if len(found) < 4 and repeated.startswith(found):
                    return None
                end += 4 if found == repeated else 0
            return _Header(end, None, stream.extended, stream.length, stream.type, stream.stream_id)
        length, kind, stream_id = stream.length, stream.type, stream.stream_id
        field = int.from_bytes(buffer[at : at + 3], "big")
        if form < 2:
            length, kind = int.from_bytes(buffer[at + 3 : at + 6], "big"), buffer[at + 6]
        if form == 0:
            stream_id = int.from_bytes(buffer[at + 7 : at + 11], "little")
        extended: int | None = None
        if field == EXTENDED:
            if len(buffer) < end + 4:
                return None
            field = extended = int.from_bytes(buffer[end : end + 4], "big")
            end += 4
        return _Header(end, field, extended, length, kind, stream_id)

    def _check(self, header: _Header) -> None:
        """Refuse a message by its header, before a byte of it is kept."""
        limit = _MOST.get(header.type, MAX_CONTROL)
        if header.length > limit:
            msg = f"message of type {header.type} with {header.length} bytes; at most {limit} are taken"
            raise ProtocolError(msg)
        if self._partial + header.length > MAX_PARTIAL:
            msg = f"more than {MAX_PARTIAL} bytes of unfinished messages"
            raise ProtocolError(msg)

    def _begin(self, channel: int, stream: _Stream, form: int, header: _Header) -> None:
        """A new message begins on *stream*: settle its header."""
        self._check(header)
        if channel not in self._streams:
            if len(self._streams) >= MAX_CHUNK_STREAMS:
                msg = f"more than {MAX_CHUNK_STREAMS} chunk streams"
                raise ProtocolError(msg)
            self._streams[channel] = stream
        if stream.partial is not None:
            # A header in mid-message: the sender gave the old one up.
            self._drop(stream)
        if header.field is not None:
            stream.delta = header.field
            stream.extended = header.extended
        stream.timestamp = header.field if form == 0 and header.field is not None else (stream.timestamp + stream.delta) & _WRAP
        stream.length, stream.type, stream.stream_id = header.length, header.type, header.stream_id
        stream.partial = bytearray()
        self._partial += header.length

    def _add(self, stream: _Stream, payload: bytearray) -> Message | None:
        partial = stream.partial
        if partial is None:
            msg = "chunk without a message"
            raise ProtocolError(msg)
        partial += payload
        if len(partial) < stream.length:
            return None
        self._drop(stream)
        return Message(stream.type, stream.timestamp, stream.stream_id, bytes(partial))

    def _drop(self, stream: _Stream) -> None:
        stream.partial = None
        self._partial -= stream.length

    def _set_chunk_size(self, payload: bytes) -> None:
        size = int.from_bytes(payload[:4], "big")
        if len(payload) < 4 or not MIN_CHUNK_SIZE <= size <= 0x7FFFFFFF:
            msg = f"chunk size {size} is not taken; at least {MIN_CHUNK_SIZE} is"
            raise ProtocolError(msg)
        self.chunk_size = size

    def _abort(self, payload: bytes) -> None:
        stream = self._streams.get(int.from_bytes(payload[:4], "big"))
        if stream is not None and stream.partial is not None:
            self._drop(stream)
