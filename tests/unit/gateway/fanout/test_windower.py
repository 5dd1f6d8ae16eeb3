"""The windower: whatever the feed loses, repeats or reorders, the windows are the log."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fanout import sse
from gateway.fanout.window import Window
from gateway.fanout.windower import MOST_BYTES, Windower
from gateway.removals import Removals
from tests.factories import STREAM, comment, fed, logged, removed


def _windower(base: int = 0) -> Windower:
    return Windower(STREAM, base, Removals())


def _data(window: Window) -> dict[str, Any]:
    frame = window.frame(sse).decode()
    data: dict[str, Any] = json.loads(frame.split("data: ", 1)[1])
    assert frame.startswith(f"id: {data['to']}\n")
    return data


def test_a_window_holds_what_was_taken_since_the_last() -> None:
    """Prev is the `to` before; items are in log order with their own seq."""
    windower = _windower(base=5)
    windower.take(fed(comment(1), 7, 5))
    windower.take(fed(comment(2), 9, 7))
    data = _data(windower.flush(0.0))

    assert (data["prev"], data["from"], data["to"]) == (5, 6, 9)
    assert [item["seq"] for item in data["items"]] == [7, 9]


def test_windows_chain() -> None:
    """The next window's prev is this one's to, also across a flush without items."""
    windower = _windower()
    windower.take(fed(comment(1), 3, 0))
    first = windower.flush(0.0)
    windower.take(fed(comment(2), 8, 3))
    second = windower.flush(0.0)

    assert first.to == second.prev == 3


def test_a_window_is_no_larger_than_a_socket_takes() -> None:
    """However much is waiting, windows stay near their bound in items and bytes, and chain; one huge item still goes."""
    windower = _windower()
    for n in range(1, 501):
        windower.take(fed(comment(n, text="x" * 480), n, n - 1))
    windows = []
    while windower.dirty:
        windows.append(windower.flush(0.0, most=200))

    assert [w.prev for w in windows[1:]] == [w.to for w in windows[:-1]]
    assert [item.seq for w in windows for item in w.items] == list(range(1, 501))
    assert all(len(w.frame(sse)) < MOST_BYTES + 1000 and len(w.items) <= 200 for w in windows)
    assert len(windows) < 20


def test_a_repeated_message_is_taken_once() -> None:
    """The feed may bring a message that was read from the log already."""
    windower = _windower()
    windower.take(fed(comment(1), 3, 0))
    windower.take(fed(comment(1), 3, 0))

    assert len(_data(windower.flush(0.0))["items"]) == 1


def test_a_loss_is_read_before_anything_else_is_taken() -> None:
    """A last seq above ours proves a loss: the message waits until the log was read, so order holds."""
    windower = _windower()
    windower.take(fed(comment(1), 3, 0))

    assert not windower.take(fed(comment(3), 7, 5))
    assert not windower.take(fed(comment(4), 9, 7))
    windower.fill([logged(comment(2), 5), logged(comment(3), 7), logged(comment(4), 9)], until=9)

    assert not windower.behind
    assert [item["seq"] for item in _data(windower.flush(0.0))["items"]] == [3, 5, 7, 9]


def test_a_deletion_is_not_a_loss() -> None:
    """A last seq below ours (or 0 after a purge) means that something was deleted: carry on."""
    windower = _windower()
    windower.take(fed(comment(1), 3, 0))

    assert windower.take(fed(comment(2), 5, 0))
    assert windower.take(fed(comment(3), 6, 3))


def test_a_lost_last_message_is_found_by_the_tail() -> None:
    """Nothing follows it on the feed; the tail check makes it wanted."""
    windower = _windower(base=3)

    assert windower.expect(3)
    assert not windower.expect(8)
    windower.fill([logged(comment(1), 8)], until=8)
    assert [item["seq"] for item in _data(windower.flush(0.0))["items"]] == [8]


def test_an_erased_range_ends_the_waiting() -> None:
    """What was wanted may be gone by the time it is read: the position moves past it."""
    windower = _windower(base=3)
    windower.expect(8)
    windower.fill([], until=8)

    assert not windower.behind
    assert windower.flush(0.0).to == 8


def test_a_removed_comment_is_never_flushed_in_full() -> None:
    """A removal that comes before the flush replaces the pending comment, in its own place."""
    windower = _windower()
    windower.take(fed(comment(1, text="secret"), 3, 0))
    windower.take(fed(removed(1), 4, 3))
    window = windower.flush(0.0)

    assert b"secret" not in window.frame(sse)
    assert [(i["type"], i["seq"]) for i in _data(window)["items"]] == [("removed", 3), ("removed", 4)]


def test_an_unreadable_message_stops_nobody() -> None:
    """Junk on the subject is skipped; the position moves past it."""
    windower = _windower()
    junk = fed(comment(1), 3, 0)
    windower.take(type(junk)(3, 0, 0, b"\xff{"))
    windower.take(fed(comment(2), 4, 3))
    data = _data(windower.flush(0.0))

    assert [item["seq"] for item in data["items"]] == [4]
    assert data["to"] == 4


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_windows_are_the_log_whatever_the_feed_does(data: st.DataObject) -> None:
    """Model: a log with holes; a feed that drops, repeats and delays; tail checks at any time; reads that are late, or a part.

    The items of all windows are exactly the log, in order, and every window's prev is the `to` before it.
    """
    seqs = sorted(data.draw(st.sets(st.integers(1, 60), min_size=1, max_size=25)))
    log = [logged(comment(seq), seq) for seq in seqs]
    feed = [fed(comment(seq), seq, before) for seq, before in zip(seqs, [0, *seqs], strict=False)]
    windower, windows = _windower(), []
    for index, message in enumerate(feed):
        stored = log[: index + 1]
        if data.draw(st.booleans()):
            windower.take(message)
        if data.draw(st.integers(0, 4)) == 0:
            windower.take(feed[data.draw(st.integers(0, index))])
        if data.draw(st.integers(0, 3)) == 0:
            windower.expect(stored[-1].seq)
        if windower.behind and data.draw(st.booleans()):
            until = windower.wanted
            read = [m for m in stored if windower.last < m.seq <= until]
            # Whole, or a piece of it.
            piece = read[: data.draw(st.integers(1, 30))]
            windower.fill(piece, until if piece == read else piece[-1].seq)
        if windower.dirty and data.draw(st.booleans()):
            windows.append(windower.flush(0.0))
    windower.expect(seqs[-1])
    windower.fill([m for m in log if windower.last < m.seq], seqs[-1])
    if windower.dirty:
        windows.append(windower.flush(0.0))

    assert seqs == [item.seq for window in windows for item in window.items]
    assert [0, *(w.to for w in windows)][:-1] == [w.prev for w in windows]
