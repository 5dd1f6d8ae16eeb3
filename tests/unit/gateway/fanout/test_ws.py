"""WebSocket frames: what a client's parser makes of them, and that they are the documented messages."""

from typing import Any

import msgspec
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from gateway.fanout import sse, ws
from gateway.fanout.wire import deliveries
from gateway.fanout.ws import SocketWire
from schemas import socket
from tests.factories import STREAM, shown

WIRE = SocketWire(STREAM)


def messages(data: bytes) -> list[bytes]:
    """The text messages in *data*, by a client's own parser; anything else fails."""
    client = ClientProtocol(parse_uri("ws://x/"), state=State.OPEN, max_size=None)
    client.receive_data(data)
    frames = client.events_received()
    assert client.parser_exc is None
    texts = []
    for frame in frames:
        assert isinstance(frame, Frame)
        assert (frame.opcode, frame.fin) == (Opcode.TEXT, True)
        texts.append(bytes(frame.data))
    return texts


def _read(data: bytes) -> Any:  # noqa: ANN401 - whichever message it is
    [text] = messages(data)
    return msgspec.json.decode(text, type=socket.Message)


def test_a_batch_is_the_documented_message() -> None:
    """The same items as an SSE delivery, in the contract's envelope, with the stream's name."""
    batch = _read(WIRE.comments(5, 9, [shown(7, 7).data]))

    assert isinstance(batch, socket.CommentsBatch)
    assert (batch.stream_id, batch.prev, batch.from_, batch.to, batch.is_backfill) == (STREAM, 5, 6, 9, False)
    assert batch.comments[0].__struct_config__.tag == "comment"
    assert batch.sampled is None


def test_an_empty_and_a_sampled_batch_are_well_formed() -> None:
    """Nothing said yet: from does not exceed to. A sampled window says how much of it is shown."""
    empty = _read(WIRE.comments(0, 0, [], backfill=True))
    sampled = _read(WIRE.comments(5, 9, [], sampled=(20, 812)))

    assert (empty.prev, empty.from_, empty.to, empty.comments, empty.is_backfill) == (0, 0, 0, [], True)
    assert (sampled.sampled.shown, sampled.sampled.of) == (20, 812)


def test_a_backfill_is_cut_where_clients_stop() -> None:
    """Chained messages below 64 KiB, all of them told to be backfill; of SSE, whose clients have no limit, one event."""
    items = [shown(number, number, text="語" * 500) for number in range(11, 61)]
    texts = messages(deliveries(WIRE, 10, 70, items, backfill=True))
    batches = [msgspec.json.decode(text, type=socket.CommentsBatch) for text in texts]

    assert 1 < len(texts) < 4
    assert max(map(len, texts)) < 65_536
    assert [batch.prev for batch in batches] == [10, *(batch.to for batch in batches[:-1])]
    assert batches[-1].to == 70
    assert all(batch.is_backfill for batch in batches)
    assert [item["seq"] for text in texts for item in msgspec.json.decode(text)["comments"]] == list(range(11, 61))
    assert deliveries(sse, 10, 70, items).count(b"event: comments") == 1
    assert _read(deliveries(WIRE, 10, 70, [])).prev == 10


def test_all_that_rides_along_is_documented_too() -> None:
    """Gaps, reactions, viewer counts, and when to come back; several in one write are several messages."""
    data = (
        WIRE.gap(1, 2, "expired")
        + WIRE.event("reactions", {"counts": {"like": 1}, "totals": {"like": 2}, "at": "2026-11-21T04:35:54.123Z"})
        + WIRE.event("viewers", {"count": 3, "approximate": False})
        + WIRE.retry(1500)
    )
    gap, burst, count, reconnect = (msgspec.json.decode(text, type=socket.Message) for text in messages(data))

    assert gap == socket.GapTold(stream_id=STREAM, from_=1, to=2, reason="expired")
    assert (type(burst), burst.totals) == (socket.ReactionsBatch, {"like": 2})
    assert count == socket.ViewerCountTold(stream_id=STREAM, count=3, approximate=False)
    assert reconnect == socket.Reconnect(retry_ms=1500)


def test_viewers_of_a_stream_share_their_frames() -> None:
    """Two wires of one stream are one key, two streams are two: a lane must never mix them."""
    assert {SocketWire(STREAM): 1} == {SocketWire(STREAM): 1}
    assert len({SocketWire(STREAM), SocketWire(STREAM), SocketWire("other")}) == 2


def test_long_messages_are_whole() -> None:
    """Lengths of one, two and eight bytes."""
    for length in (0, 125, 126, 65_535, 65_536, 300_000):
        assert messages(ws.text(b"x" * length)) == [b"x" * length]
