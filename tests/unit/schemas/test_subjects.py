"""Subjects: built in one place, and no request can smuggle anything into one."""

import pytest

from schemas import subjects
from schemas.streamid import is_stream_id, new_stream_id
from schemas.times import parse_rfc3339, rfc3339

STREAM = new_stream_id(1_800_000_000_000)


def test_live_and_feed_read_back() -> None:
    """A subject names its shard and its stream."""
    assert (3, STREAM) == subjects.parse_live(subjects.live(3, STREAM)) == subjects.parse_live(subjects.feed(3, STREAM))
    with pytest.raises(ValueError, match="is not live"):
        subjects.parse_live("live.x.y.z")


@pytest.mark.parametrize("bad", ["", "*", ">", "a.b", "a b", "a\n", "ü", "x" * 129])
def test_no_token_holds_a_wildcard_or_a_dot(bad: str) -> None:
    """What cannot be a token is refused when the subject is built."""
    with pytest.raises(ValueError, match="cannot be a subject token"):
        subjects.live(0, bad)
    with pytest.raises(ValueError, match="cannot be a subject token"):
        subjects.presence(bad)


def test_a_limits_party_may_be_called_anything() -> None:
    """User ids are free text; they are hashed, and different parties have different subjects."""
    one, two = subjects.limit("user", "a.*>b"), subjects.limit("user", "a", "b")

    assert one != two
    assert one.startswith("limit.user.")
    assert 3 == len(one.split("."))


def test_a_comments_msg_id_is_scoped_to_stream_and_user() -> None:
    """The same key elsewhere, or of somebody else, is another message."""
    ids = {subjects.comment_msg_id(stream, user, "k") for stream in (STREAM, "s2") for user in ("ada", "bob")}

    assert 4 == len(ids)


def test_stream_ids_are_uuid7_in_order_of_time() -> None:
    """Later streams have larger ids; anything else is no id."""
    assert new_stream_id(1_000) < new_stream_id(2_000)
    assert is_stream_id(STREAM)
    for bad in ("", STREAM.upper(), STREAM[:-1], f"{STREAM}\n", "018bcfe5-6800-4bb6-bc13-d949c5118ce2"):
        assert not is_stream_id(bad)


def test_times_have_milliseconds_and_read_back() -> None:
    """RFC 3339, UTC; an offset is understood, a time without one is not."""
    assert "2026-11-21T04:35:54.007Z" == rfc3339(parse_rfc3339("2026-11-21T05:35:54.0079+01:00"))
    with pytest.raises(ValueError, match="no RFC 3339 time"):
        parse_rfc3339("2026-11-21T05:35:54")
