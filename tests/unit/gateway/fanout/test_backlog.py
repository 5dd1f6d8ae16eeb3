"""What is read for those who are behind: in pieces that clients take, and chained."""

from types import SimpleNamespace
from typing import Any

import msgspec

from gateway.fanout.backlog import CHUNK, skip, windows
from gateway.fanout.windower import MOST_BYTES
from gateway.fanout.ws import SocketWire
from gateway.ranges import Missing
from schemas import socket
from tests.factories import STREAM, shown
from tests.unit.gateway.fanout.test_ws import messages


def test_windows_have_few_items_and_few_bytes() -> None:
    """They chain up to the end, and none holds more than a client takes of one message, however long its comments are."""
    items = [shown(number, number, text="語" * (500 if number < 60 else 10)) for number in range(1, 201)]
    made = windows(10, 300, items, 0.0)

    assert [window.prev for window in made] == [10, *(window.to for window in made[:-1])]
    assert made[-1].to == 300
    assert [item.seq for window in made for item in window.items] == list(range(11, 201))
    assert all(sum(len(item.data) for item in window.items) <= MOST_BYTES for window in made)
    assert max(len(window.items) for window in made) == CHUNK
    assert [(window.prev, window.to, window.items) for window in windows(10, 300, [], 0.0)] == [(10, 300, ())]


def test_what_the_store_has_before_a_gap_is_cut_where_clients_stop() -> None:
    """Whoever is behind a range that nobody has any more is given what there is before it in messages that it takes."""
    sent: list[bytes] = []
    viewer: Any = SimpleNamespace(wire=SocketWire(STREAM), position=10, send=sent.append)
    items = [shown(number, number, text="語" * 500) for number in range(1, 201)]
    skip(viewer, items, Missing(191, 400, "expired"), 400)

    *batches, gap = messages(b"".join(sent))
    assert max(map(len, batches)) < 65_536
    read = [msgspec.json.decode(text, type=socket.CommentsBatch) for text in batches]
    assert [batch.prev for batch in read] == [10, *(batch.to for batch in read[:-1])]
    assert [item["seq"] for text in batches for item in msgspec.json.decode(text)["comments"]] == list(range(11, 191))
    assert (read[-1].to, viewer.position) == (190, 400)
    assert msgspec.json.decode(gap)["type"] == "gap"
