"""What a republished message says of where it is in its log."""

import pytest

from infra.jetstream.feed import FeedMessage, republished

AT_MS = 1_763_815_830_120


@pytest.mark.parametrize(
    "header",
    [
        (
            b"NATS/1.0\r\nNats-Msg-Id: k\r\nNats-Stream: LIVE_0\r\nNats-Subject: live.0.s\r\nNats-Sequence: 12\r\n"
            b"Nats-Time-Stamp: 2025-11-22T12:50:30.12Z\r\nNats-Last-Sequence: 9\r\n\r\n"
        ),
        (
            b"NATS/1.0\r\nNats-Last-Sequence:9\r\nnats-sequence: 1\r\nNats-Time-Stamp:  2025-11-22T12:50:30.12Z \r\n"
            b"Nats-Sequence: 12\r\n\r\n"
        ),
    ],
    ids=["as nats-server writes them", "in another order and spelling"],
)
def test_a_message_tells_where_it_is(header: bytes) -> None:
    """Whatever the order and spelling of its headers: its own seq, the one before it on its subject, and its time."""
    assert republished(header, b"x") == FeedMessage(seq=12, last_seq=9, at_ms=AT_MS, payload=b"x")


def test_the_first_of_its_subject_has_none_before_it() -> None:
    """A server may leave out what would be 0."""
    header = b"NATS/1.0\r\nNats-Sequence: 12\r\nNats-Time-Stamp: 2025-11-22T12:50:30.12Z\r\n\r\n"
    assert republished(header, b"") == FeedMessage(seq=12, last_seq=0, at_ms=AT_MS, payload=b"")


@pytest.mark.parametrize(
    "header", [b"NATS/1.0\r\n\r\n", b"NATS/1.0 503\r\n\r\n", b"NATS/1.0\r\nNats-Msg-Id: Nats-Sequence: 1\r\n\r\n"]
)
def test_what_is_of_no_log_is_no_message(header: bytes) -> None:
    """Anybody may publish on a feed's subject without a log."""
    assert republished(header, b"x") is None
