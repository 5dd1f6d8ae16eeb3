"""The dialogue of one publisher, sans-IO: connect, createStream, publish, deleteStream.

A session yields events and collects what to send. It stops at `PublishRequested` until it is told `accept` or `refuse`:
not one media message is read before the key was found good.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from workers.media import metadata
from workers.media.rtmp import message as kinds
from workers.media.rtmp.amf import Value, decode, encode
from workers.media.rtmp.chunks import ChunkReader
from workers.media.rtmp.errors import ProtocolError
from workers.media.rtmp.handshake import Handshake
from workers.media.rtmp.message import Message
from workers.media.rtmp.stamps import Stamps
from workers.media.rtmp.streamkey import APP, is_our_app, stream_key
from workers.media.rtmp.writer import COMMAND_CHANNEL, ChunkWriter

#: Our half of the flow control: both sides acknowledge every window of this many bytes.
WINDOW = 2_500_000
CHUNK_SIZE = 4096
#: The one message stream a connection gets.
STREAM_ID = 1
_DYNAMIC = 2
_PING, _PONG = 6, 7
_SET_DATA_FRAME = encode("@setDataFrame")
#: Bytes before `publish`, both handshakes included: encoders need below 10 kB. What is whole by then is never judged by its
#: rate, so that it has to be little.
MAX_BEFORE_PUBLISH = 128 * 1024
#: Tags in one aggregate message; encoders that use it put a few frames into one.
MAX_AGGREGATE = 1024


class PublishRequested(NamedTuple):
    """The peer wants to publish with *key*, empty when it gave none. Answer with `accept` or `refuse` before going on."""

    key: str


class MediaReceived(NamedTuple):
    """One audio (8), video (9) or metadata (18) message: *timestamp* as `Stamps` gives it, *payload* the FLV tag's body."""

    type: int
    timestamp: int
    payload: bytes


class PublishEnded(NamedTuple):
    """The peer said deleteStream or closeStream: no media follows, the peer closes the connection itself."""


Event = PublishRequested | MediaReceived | PublishEnded


class Session:
    """One connection's state."""

    def __init__(self) -> None:
        self.handshaken = False
        self._handshake = Handshake()
        self._reader = ChunkReader()
        self._writer = ChunkWriter()
        self._stamps = Stamps()
        self._out = bytearray()
        self._app: str | None = None
        self._asked = False
        self._accepted = False
        self._ended = False
        self._received = 0
        self._acknowledged = 0
        self._window = WINDOW
        #: What the peer called itself when it connected.
        self.encoder = ""
        #: Messages read so far, those inside aggregates included.
        self.messages = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take *data* and yield what it means; call `take_output` afterwards, and after each event.

        Raises:
            ProtocolError: from the iterator; send `take_output` (it may hold a refusal) and close the connection.
        """
        self._received += len(data)
        if not self.handshaken:
            answer, data = self._handshake.feed(data)
            self._out += answer
            self.handshaken = self._handshake.done
            if not self.handshaken:
                return
        if not self._asked and self._received > MAX_BEFORE_PUBLISH:
            msg = f"{self._received} bytes and no publish; at most {MAX_BEFORE_PUBLISH} are read"
            raise ProtocolError(msg)
        for message in self._reader.feed(data):
            self.messages += 1
            if message.type in (kinds.AUDIO, kinds.VIDEO):
                media = self._media(message.type, message.timestamp, message.payload)
                if media is not None:
                    yield media
            else:
                yield from self._message(message)
        self._acknowledge()

    def take_output(self) -> bytes:
        """What to send now."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def accept(self) -> None:
        """The key is good: tell the peer to send."""
        self._accepted = True
        self._out += self._writer.control(kinds.USER_CONTROL, bytes(2) + STREAM_ID.to_bytes(4, "big"))
        self.status("status", "NetStream.Publish.Start", "Publishing.")

    def refuse(self, description: str) -> None:
        """The key, or what came with it, is not taken: say so; the caller closes the connection."""
        self.status("error", "NetStream.Publish.BadName", description)

    def warn(self, description: str) -> None:
        """Say what should be set otherwise; encoders log it (a code that they do not know) and go on."""
        self.status("warning", "NetStream.Publish.Warning", description)

    def status(self, level: str, code: str, description: str) -> None:
        """Send `onStatus`. Encoders show *description* to the broadcaster."""
        info = {"level": level, "code": code, "description": description}
        self._send("onStatus", 0.0, None, info, stream_id=STREAM_ID)

    def _send(self, *values: Value, stream_id: int = 0) -> None:
        self._out += self._writer.write(Message(kinds.COMMAND, 0, stream_id, encode(*values)), COMMAND_CHANNEL)

    def _acknowledge(self) -> None:
        if self._received - self._acknowledged >= self._window // 2:
            self._acknowledged = self._received
            self._out += self._writer.control(kinds.ACKNOWLEDGEMENT, (self._received & 0xFFFFFFFF).to_bytes(4, "big"))

    def _message(self, message: Message) -> Iterator[Event]:
        match message.type:
            case kinds.AGGREGATE:
                yield from self._aggregate(message)
            case kinds.DATA | kinds.DATA_AMF3:
                payload = message.payload[1:] if message.type == kinds.DATA_AMF3 else message.payload
                yield from self._data(message.timestamp, payload)
            case kinds.COMMAND | kinds.COMMAND_AMF3:
                payload = message.payload[1:] if message.type == kinds.COMMAND_AMF3 else message.payload
                yield from self._command(payload)
            case kinds.WINDOW_ACK_SIZE:
                self._window = max(int.from_bytes(message.payload[:4], "big"), CHUNK_SIZE)
            case kinds.USER_CONTROL:
                if int.from_bytes(message.payload[:2], "big") == _PING:
                    self._out += self._writer.control(kinds.USER_CONTROL, _PONG.to_bytes(2, "big") + message.payload[2:6])
            case _:
                pass

    def _media(self, kind: int, timestamp: int, payload: bytes) -> MediaReceived | None:
        if not self._accepted:
            msg = "media before publish was accepted"
            raise ProtocolError(msg)
        if not payload or self._ended:
            return None
        return MediaReceived(kind, self._stamps.take(kind, timestamp), payload)

    def _aggregate(self, message: Message) -> Iterator[Event]:
        """Section 7.1.6: FLV tags with back pointers; times are relative to the first one's."""
        body, at, first, count = message.payload, 0, None, 0
        while at + 11 <= len(body):
            count += 1
            if count > MAX_AGGREGATE:
                msg = f"more than {MAX_AGGREGATE} tags in one aggregate message"
                raise ProtocolError(msg)
            size = int.from_bytes(body[at + 1 : at + 4], "big")
            stamp = int.from_bytes(body[at + 4 : at + 7], "big") | body[at + 7] << 24
            first = stamp if first is None else first
            payload = body[at + 11 : at + 11 + size]
            if len(payload) < size:
                msg = "aggregate message cut short"
                raise ProtocolError(msg)
            if body[at] in (kinds.AUDIO, kinds.VIDEO):
                media = self._media(body[at], (message.timestamp + stamp - first) & 0xFFFFFFFF, payload)
                if media is not None:
                    yield media
            at += 11 + size + 4
        self.messages += count

    def _data(self, timestamp: int, payload: bytes) -> Iterator[Event]:
        if payload.startswith(_SET_DATA_FRAME):
            media = self._media(kinds.DATA, timestamp, payload[len(_SET_DATA_FRAME) :])
            if media is not None:
                yield media

    def _command(self, payload: bytes) -> Iterator[Event]:
        values = decode(payload)
        name = values[0] if values else None
        number = values[1] if len(values) > 1 else None
        if not isinstance(name, str) or not isinstance(number, float):
            msg = "a command needs a name and a transaction number"
            raise ProtocolError(msg)
        arguments = values[2:]
        match name:
            case "connect":
                self._connect(number, arguments)
            case "releaseStream" | "FCUnpublish":
                self._send("_result", number, None)
            case "FCPublish":
                self._send("_result", number, None)
                self._send("onFCPublish", 0.0, None, {"code": "NetStream.Publish.Start", "description": ""})
            case "createStream":
                self._send("_result", number, None, float(STREAM_ID))
            case "publish":
                yield self._publish(arguments)
            case "play":
                self.status("error", "NetStream.Play.StreamNotFound", "This port only takes streams in; watch over HLS.")
                msg = "the peer wants to play"
                raise ProtocolError(msg)
            case "deleteStream" | "closeStream":
                # FCUnpublish comes first and is no end: closing on it makes ffmpeg fail on its own deleteStream.
                if self._accepted and not self._ended:
                    self._ended = True
                    yield PublishEnded()
            case _:
                pass

    def _connect(self, number: float, arguments: list[Value]) -> None:
        if self._app is not None:
            msg = "connect comes twice"
            raise ProtocolError(msg)
        options = arguments[0] if arguments else None
        app = options.get("app") if isinstance(options, Mapping) else None
        if not isinstance(app, str) or not is_our_app(app):
            refusal: dict[str, Value] = {
                "level": "error",
                "code": "NetConnection.Connect.InvalidApp",
                "description": f"No such application; use /{APP}.",
            }
            self._send("_error", number, None, refusal)
            msg = "connect to another application"
            raise ProtocolError(msg)
        self._app = app
        self.encoder = metadata.name(options.get("flashVer")) if isinstance(options, Mapping) else ""
        self._out += self._writer.control(kinds.WINDOW_ACK_SIZE, WINDOW.to_bytes(4, "big"))
        self._out += self._writer.control(kinds.SET_PEER_BANDWIDTH, WINDOW.to_bytes(4, "big") + bytes((_DYNAMIC,)))
        self._out += self._writer.control(kinds.SET_CHUNK_SIZE, CHUNK_SIZE.to_bytes(4, "big"))
        info: dict[str, Value] = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "Connected.",
            "objectEncoding": 0.0,
        }
        self._send("_result", number, {"fmsVer": "FMS/3,5,7,7009", "capabilities": 31.0}, info)

    def _publish(self, arguments: list[Value]) -> PublishRequested:
        name = arguments[1] if len(arguments) > 1 else None
        if self._app is None or self._asked or not isinstance(name, str):
            msg = "publish needs a connection, a name, and to be the first one"
            raise ProtocolError(msg)
        self._asked = True
        return PublishRequested(stream_key(self._app, name))
