"""What encoders really say, message for message."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dialogues import KEY, Dialogue, Said, every
from workers.media.rtmp.message import DATA
from workers.media.rtmp.session import Event, MediaReceived, PublishEnded, PublishRequested, Session

DIALOGUES = {each.name: each for each in every()}
named = pytest.mark.parametrize("dialogue", DIALOGUES.values(), ids=list(DIALOGUES))


def heard(session: Session, data: bytes) -> list[Event]:
    """What *data* means to *session*, which lets everybody publish."""
    found = []
    for event in session.feed(data):
        if isinstance(event, PublishRequested):
            session.accept()
        found.append(event)
    return found


def media(events: list[Event], *kinds: int) -> list[Said]:
    """The media among *events*, of *kinds* where any are named."""
    return [Said(*each) for each in events if isinstance(each, MediaReceived) and (not kinds or each.type in kinds)]


def smoothed(said: list[Said]) -> list[Said]:
    """*said* in each kind's own order of time: what a reader must make of it."""
    newest: dict[int, int] = {}
    found = []
    for each in said:
        newest[each.type] = max(each.timestamp, newest.get(each.type, each.timestamp))
        found.append(each._replace(timestamp=newest[each.type]))
    return found


@named
def test_an_encoder_is_understood(dialogue: Dialogue) -> None:
    """The key is found wherever it stands; every frame comes out with its own time and bytes, in the order it was sent."""
    events = heard(Session(), dialogue.raw)
    asked = [each for each in events if isinstance(each, PublishRequested)]

    assert [PublishRequested(KEY)] == asked
    assert len(dialogue.media) > 4
    for kind in (8, 9):
        assert [each for each in smoothed(dialogue.media) if each.type == kind] == media(events, kind)
    if dialogue.name == "obs":
        assert dialogue.media == media(events)
    if any(each.type == DATA for each in dialogue.media):
        assert [each for each in dialogue.media if each.type == DATA] == media(events, DATA)


@pytest.mark.parametrize("name", ["obs", "ffmpeg", "gstreamer"])
def test_an_encoder_that_stops_is_seen_to(name: str) -> None:
    """They say deleteStream, and that is the end of publishing."""
    assert PublishEnded() in heard(Session(), DIALOGUES[name].raw)


@named
def test_byte_by_byte_is_the_same_as_at_once(dialogue: Dialogue) -> None:
    """A network may cut anywhere."""
    session = Session()
    found = [event for byte in dialogue.raw for event in heard(session, bytes((byte,)))]

    assert heard(Session(), dialogue.raw) == found


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(DIALOGUES.values())), st.lists(st.integers(0, 60_000), max_size=20))
def test_however_it_is_cut_it_is_the_same(dialogue: Dialogue, cuts: list[int]) -> None:
    """The same events and the same answers, except for the random half of the handshake."""
    edges = [0, *sorted(cut % (len(dialogue.raw) + 1) for cut in cuts), len(dialogue.raw)]
    whole, pieces = Session(), Session()
    expected = heard(whole, dialogue.raw)

    assert expected == [event for start, end in pairwise(edges) for event in heard(pieces, dialogue.raw[start:end])]
    assert whole.take_output()[1 + 2 * 1536 :] == pieces.take_output()[1 + 2 * 1536 :]
