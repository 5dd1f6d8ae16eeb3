"""The dialogue with one publisher, without a socket."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rtmp import CONNECT, HELLO, chunk, command
from workers.media.rtmp import message as kinds
from workers.media.rtmp.amf import Value, decode, encode
from workers.media.rtmp.chunks import ChunkReader
from workers.media.rtmp.errors import ProtocolError
from workers.media.rtmp.message import Message
from workers.media.rtmp.session import Event, MediaReceived, PublishEnded, PublishRequested, Session

SHAKEN = HELLO + bytes(1536)
PUBLISH = command("publish", 5.0, None, "the-key?tag=1", "live", stream_id=1)


def answers(session: Session) -> list[Message]:
    """What the session wants to say, without its half of the handshake."""
    return list(ChunkReader().feed(session.take_output()))


def shaken() -> Session:
    """A session after the handshake."""
    session = Session()
    assert list(session.feed(SHAKEN)) == []
    assert len(session.take_output()) == 1 + 2 * 1536
    return session


def publishing() -> Session:
    """A session whose key was accepted."""
    session = shaken()
    assert [PublishRequested("the-key")] == list(session.feed(CONNECT + PUBLISH))
    session.accept()
    session.take_output()
    return session


def status(session: Session) -> Mapping[str, Value]:
    """The information object of the `onStatus` that is to be sent."""
    values = next(decode(each.payload) for each in answers(session) if each.type == kinds.COMMAND)
    assert values[0] == "onStatus"
    assert isinstance(values[3], Mapping)
    return values[3]


def test_an_encoder_is_led_to_publish() -> None:
    """connect, releaseStream, FCPublish and createStream are answered; publish asks for the key without its query."""
    session = shaken()
    events = list(session.feed(CONNECT + command("releaseStream", 2.0, None, "k") + command("FCPublish", 3.0, None, "k")))
    said = [decode(each.payload) for each in answers(session) if each.type == kinds.COMMAND]
    assert events == []
    assert [values[0] for values in said] == ["_result", "_result", "_result", "onFCPublish"]
    assert isinstance(said[0][3], Mapping)
    assert said[0][3]["code"] == "NetConnection.Connect.Success"

    assert list(session.feed(command("createStream", 4.0, None))) == []
    assert [decode(each.payload)[1:] for each in answers(session)] == [[4.0, None, 1.0]]

    assert [PublishRequested("the-key")] == list(session.feed(PUBLISH))
    session.accept()
    assert status(session)["code"] == "NetStream.Publish.Start"


def test_a_refused_key_reads_bad_name() -> None:
    """Level error, code NetStream.Publish.BadName, and the reason for people."""
    session = shaken()
    list(session.feed(CONNECT + PUBLISH))
    session.take_output()
    session.refuse("Unknown stream key.")

    assert status(session) == {
        "level": "error",
        "code": "NetStream.Publish.BadName",
        "description": "Unknown stream key.",
    }


def test_no_media_is_read_before_the_key_was_found_good() -> None:
    """Media in the same packet as publish ends the connection unless the key is accepted first."""
    video = chunk(kinds.VIDEO, b"\x17\0\0\0\0", channel=6, stream_id=1)
    session = shaken()
    events = session.feed(CONNECT + PUBLISH + video)
    assert next(events) == PublishRequested("the-key")
    with pytest.raises(ProtocolError, match="before publish was accepted"):
        next(events)

    session = shaken()
    events = session.feed(CONNECT + PUBLISH + video)
    assert next(events) == PublishRequested("the-key")
    session.accept()
    assert list(events) == [MediaReceived(kinds.VIDEO, 0, b"\x17\0\0\0\0")]


def test_metadata_loses_its_wrapper() -> None:
    """`@setDataFrame` is for servers; what follows it is an FLV script tag."""
    body = encode("onMetaData", {"width": 1280.0})
    session = publishing()

    assert [MediaReceived(kinds.DATA, 0, body)] == list(
        session.feed(chunk(kinds.DATA, encode("@setDataFrame") + body, channel=6, stream_id=1))
    )


def test_aggregates_are_taken_apart() -> None:
    """Tags inside one message, timed against the first of them."""
    tags = b"".join(
        bytes((kind, 0, 0, 2)) + at.to_bytes(3, "big") + bytes(4) + body + bytes(4)
        for kind, at, body in [(kinds.AUDIO, 7000, b"\xaf\1"), (kinds.VIDEO, 7040, b"\x17\1")]
    )
    session = publishing()

    assert [MediaReceived(kinds.AUDIO, 500, b"\xaf\1"), MediaReceived(kinds.VIDEO, 540, b"\x17\1")] == list(
        session.feed(chunk(kinds.AGGREGATE, tags, channel=6, timestamp=500, stream_id=1))
    )


def test_only_delete_stream_ends_publishing() -> None:
    """FCUnpublish comes first and is no end; after deleteStream nothing counts."""
    session = publishing()
    assert list(session.feed(command("FCUnpublish", 6.0, None, "k"))) == []
    assert list(session.feed(command("deleteStream", 7.0, None, 1.0))) == [PublishEnded()]
    assert list(session.feed(chunk(kinds.AUDIO, b"\xaf\1", channel=4, stream_id=1))) == []


@pytest.mark.parametrize("app", ["live/", "live?token=1", "live"])
def test_spellings_of_the_application(app: str) -> None:
    """A trailing slash or a query is what people paste."""
    session = shaken()
    list(session.feed(command("connect", 1.0, {"app": app})))
    assert [each.type for each in answers(session)] == [kinds.WINDOW_ACK_SIZE, kinds.SET_PEER_BANDWIDTH, kinds.COMMAND]


@pytest.mark.parametrize("app", ["vod", "", None, 7.0])
def test_another_application_is_refused(app: Value) -> None:
    """With an `_error` that names the right one."""
    session = shaken()
    with pytest.raises(ProtocolError):
        list(session.feed(command("connect", 1.0, {"app": app})))
    assert decode(answers(session)[0].payload)[0] == "_error"


@pytest.mark.parametrize(
    "said",
    [
        PUBLISH,
        CONNECT + command("publish", 5.0, None),
        CONNECT + command("publish", 5.0, None, 7.0),
        CONNECT + PUBLISH + PUBLISH,
        CONNECT + CONNECT,
        CONNECT + command("play", 5.0, None, "k"),
        command(7.0, 1.0),
        command("connect"),
        chunk(kinds.COMMAND, b""),
    ],
    ids=["no-connect", "no-name", "number", "twice", "connect-twice", "play", "no-command", "no-number", "empty"],
)
def test_what_is_no_publishing_is_refused(said: bytes) -> None:
    """Anything out of order ends the connection."""
    with pytest.raises(ProtocolError):
        list(shaken().feed(said))


def test_pings_are_answered_and_bytes_acknowledged() -> None:
    """A ping comes back with its time; every half window of bytes is acknowledged."""
    session = publishing()
    list(session.feed(chunk(kinds.USER_CONTROL, b"\0\6\1\2\3\4", channel=2)))
    assert [each.payload for each in answers(session)] == [b"\0\7\1\2\3\4"]

    list(session.feed(chunk(kinds.WINDOW_ACK_SIZE, (10_000).to_bytes(4, "big"), channel=2)))
    session.take_output()
    list(session.feed(chunk(kinds.AUDIO, b"\xaf" * 6000, channel=4, stream_id=1)))
    assert [each.type for each in answers(session)] == [kinds.ACKNOWLEDGEMENT]


@given(st.binary(max_size=400))
def test_rubbish_raises_protocol_errors_only(tail: bytes) -> None:
    """Whatever follows the handshake is understood or refused."""
    session = shaken()
    events: list[Event] = []
    try:
        events += session.feed(CONNECT + tail)
    except ProtocolError:
        return
    assert not any(isinstance(event, MediaReceived) for event in events)
