"""The chunk reader, against a writer that uses every header type, and against rubbish."""

import contextlib
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rtmp import chunk
from workers.media.rtmp.chunks import MAX_AUDIO, MAX_CHUNK_STREAMS, MAX_CONTROL, MAX_MEDIA, MIN_CHUNK_SIZE, ChunkReader
from workers.media.rtmp.errors import ProtocolError
from workers.media.rtmp.message import AUDIO, COMMAND, DATA, SET_CHUNK_SIZE, VIDEO, Message
from workers.media.rtmp.writer import ChunkWriter

EDGE = 0xFFFFFF


@dataclass
class CompactWriter:
    """Writes each message with the shortest header that the specification allows, as encoders do."""

    chunk_size: int = 128
    repeat_extended: bool = True
    headers: dict[int, tuple[Message, int]] = field(default_factory=dict)

    def write(self, message: Message, channel: int) -> bytes:
        """Encode *message* on *channel*."""
        before = self.headers.get(channel)
        form, number = 0, message.timestamp
        if before is not None and before[0].stream_id == message.stream_id and message.timestamp >= before[0].timestamp:
            old, delta = before
            number = message.timestamp - old.timestamp
            form = 1
            if (old.type, len(old.payload)) == (message.type, len(message.payload)):
                form = 3 if number == delta else 2
        self.headers[channel] = (message, number)
        extended = number.to_bytes(4, "big") if number >= EDGE else b""
        out = self._basic(form, channel)
        header = min(number, EDGE).to_bytes(3, "big") + len(message.payload).to_bytes(3, "big") + bytes((message.type,))
        header += message.stream_id.to_bytes(4, "little")
        out += header[: (11, 7, 3, 0)[form]] + extended + message.payload[: self.chunk_size]
        for at in range(self.chunk_size, len(message.payload), self.chunk_size):
            out += self._basic(3, channel) + (extended if self.repeat_extended else b"")
            out += message.payload[at : at + self.chunk_size]
        return out

    @staticmethod
    def _basic(form: int, channel: int) -> bytes:
        if channel < 64:
            return bytes((form << 6 | channel,))
        if channel < 320:
            return bytes((form << 6, channel - 64))
        return bytes((form << 6 | 1,)) + (channel - 64).to_bytes(2, "little")


times = st.integers(0, 50) | st.just(20) | st.sampled_from([EDGE - 1, EDGE, EDGE + 1, 2**31])
bodies = st.binary(min_size=1, max_size=600) | st.just(b"\xaf" * 200) | st.just(b"\xff" * 300)


@st.composite
def broadcasts(draw: st.DrawFn) -> list[tuple[Message, int]]:
    """Messages on a few chunk streams, with times that mostly grow by the same step."""
    channels = draw(st.lists(st.sampled_from([3, 4, 6, 63, 64, 300, 320, 5000]), min_size=1, max_size=3, unique=True))
    clocks = dict.fromkeys(channels, 0)
    found = []
    for _ in range(draw(st.integers(1, 12))):
        channel = draw(st.sampled_from(channels))
        clocks[channel] = min(clocks[channel] + draw(times), 0xFFFFFFFF)
        kind = draw(st.sampled_from([AUDIO, VIDEO, COMMAND]))
        found.append((Message(kind, clocks[channel], 1, draw(bodies)), channel))
    return found


@given(messages=broadcasts(), size=st.integers(MIN_CHUNK_SIZE, 700), repeats=st.booleans())
def test_what_was_written_is_read(*, messages: list[tuple[Message, int]], size: int, repeats: bool) -> None:
    """Every header type, one to three byte chunk stream ids, extended times with and without their repetition."""
    if not repeats:
        # Where they are left out, payload that looks like them cannot be told apart.
        messages = [(each._replace(payload=bytes(32 + byte % 64 for byte in each.payload)), at) for each, at in messages]
    writer = CompactWriter(chunk_size=size, repeat_extended=repeats)
    raw = chunk(SET_CHUNK_SIZE, size.to_bytes(4, "big"), channel=2)
    raw += b"".join(writer.write(message, channel) for message, channel in messages)

    assert [message for message, _ in messages] == list(ChunkReader().feed(raw))


@given(broadcasts(), st.lists(st.integers(0, 4000), max_size=6))
def test_how_the_bytes_are_split_does_not_matter(messages: list[tuple[Message, int]], cuts: list[int]) -> None:
    """Byte by byte, and cut anywhere, the same messages come out as from the whole."""
    writer = CompactWriter()
    raw = b"".join(writer.write(message, channel) for message, channel in messages)
    whole = list(ChunkReader().feed(raw))
    bytewise = ChunkReader()
    pieces = ChunkReader()
    edges = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]

    assert whole == [found for byte in raw for found in bytewise.feed(bytes((byte,)))]
    assert whole == [found for start, end in pairwise(edges) for found in pieces.feed(raw[start:end])]


@settings(max_examples=300)
@given(broadcasts(), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8), st.binary(max_size=40))
def test_rubbish_raises_protocol_errors_only(
    messages: list[tuple[Message, int]], changes: list[tuple[int, int]], tail: bytes
) -> None:
    """Whatever is changed in a stream of chunks, the reader reads or raises ProtocolError."""
    writer = CompactWriter()
    raw = bytearray(b"".join(writer.write(message, channel) for message, channel in messages))
    for at, value in changes:
        raw[at % len(raw)] = value
    with contextlib.suppress(ProtocolError):
        list(ChunkReader().feed(bytes(raw) + tail))


def test_a_type_3_chunk_that_begins_a_message_repeats_the_delta() -> None:
    """Silent AAC: after one type-1 header with delta 21 every further frame is a type-3 chunk, 21 ms later each."""
    raw = chunk(AUDIO, b"a" * 6, channel=4, timestamp=1000, stream_id=1)
    raw += b"\x44\x00\x00\x15\x00\x00\x06\x08" + b"b" * 6
    raw += (b"\xc4" + b"c" * 6) * 3

    assert [message.timestamp for message in ChunkReader().feed(raw)] == [1000, 1021, 1042, 1063, 1084]


def test_after_a_type_0_header_the_delta_is_its_timestamp() -> None:
    """The specification says so, and ffmpeg's writer relies on it."""
    raw = chunk(AUDIO, b"a" * 6, channel=4, timestamp=40, stream_id=1) + b"\xc4" + b"b" * 6

    assert [message.timestamp for message in ChunkReader().feed(raw)] == [40, 80]


def test_an_aborted_message_is_forgotten() -> None:
    """What came of it is dropped, and the chunk stream goes on with a new message."""
    begun = chunk(VIDEO, b"v" * 300, channel=6, stream_id=1)[: 12 + 128]
    abort = chunk(2, (6).to_bytes(4, "big"), channel=2)
    reader = ChunkReader()

    assert [Message(VIDEO, 5, 1, b"w")] == list(
        reader.feed(begun + abort + chunk(VIDEO, b"w", channel=6, timestamp=5, stream_id=1))
    )


def header(kind: int, length: int, channel: int = 4) -> bytes:
    """A type-0 header alone."""
    return bytes((channel, 0, 0, 0)) + length.to_bytes(3, "big") + bytes((kind, 1, 0, 0, 0))


@pytest.mark.parametrize(
    ("kind", "most"), [(VIDEO, MAX_MEDIA), (AUDIO, MAX_AUDIO), (COMMAND, MAX_CONTROL), (DATA, MAX_CONTROL)]
)
def test_a_message_too_large_is_refused_by_its_header(kind: int, most: int) -> None:
    """Before a byte of it is kept; one of exactly the limit is begun."""
    assert list(ChunkReader().feed(header(kind, most))) == []
    with pytest.raises(ProtocolError, match="at most"):
        list(ChunkReader().feed(header(kind, most + 1)))


def test_chunk_streams_are_bounded() -> None:
    """The 65th chunk stream ends the connection."""
    raw = b"".join(header(AUDIO, 1, channel=channel) + b"a" for channel in range(2, 2 + 62))
    reader = ChunkReader()
    assert len(list(reader.feed(raw))) == 62
    more = b"".join(b"\x00" + bytes((n,)) + header(AUDIO, 1)[1:] + b"a" for n in range(MAX_CHUNK_STREAMS - 62))
    list(reader.feed(more))
    with pytest.raises(ProtocolError, match="chunk streams"):
        list(reader.feed(b"\x00\xc8" + header(AUDIO, 1)[1:] + b"a"))


def test_unfinished_messages_are_bounded_together() -> None:
    """Many chunk streams with one large message begun on each cannot fill the memory."""
    reader = ChunkReader()
    begun = b"".join(header(VIDEO, MAX_MEDIA, channel) + bytes(128) for channel in range(3, 10))
    with pytest.raises(ProtocolError, match="unfinished"):
        list(reader.feed(begun))


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\0\0\0\1", b"\0\0\0\x7f", b"\xff\xff\xff\xff", b"\0"])
def test_impossible_chunk_sizes_are_refused(size: bytes) -> None:
    """Zero would never make progress, a few bytes cost more than they carry, and the first bit must be zero."""
    with pytest.raises(ProtocolError, match="chunk size"):
        list(ChunkReader().feed(chunk(SET_CHUNK_SIZE, size, channel=2)))


@given(st.integers(0, 0xFFFFFFFF), st.binary(max_size=1000), st.integers(MIN_CHUNK_SIZE, 400))
def test_our_writer_and_reader_agree(timestamp: int, payload: bytes, size: int) -> None:
    """What the server sends, after it announced its chunk size, can be read."""
    writer = ChunkWriter()
    message = Message(COMMAND, timestamp, 1, payload)
    raw = writer.control(SET_CHUNK_SIZE, size.to_bytes(4, "big")) + writer.write(message)

    assert [message] == list(ChunkReader().feed(raw))
