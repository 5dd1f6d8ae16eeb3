"""The windower: whatever the feed loses, repeats or reorders, the windows are the log."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gateway.fanout import sse
from gateway.fanout.sampling import EVERYBODY
from gateway.fanout.window import Window
from gateway.fanout.windower import APART_S, MOST_BYTES, MOST_DRAWN, MOST_WAITING, Windower
from gateway.removals import Removals
from infra.jetstream.feed import FeedMessage
from schemas import codec
from schemas.items import Comment, Item, User
from tests.factories import NOON_MS, STREAM, comment, fed, logged, removed


def _windower(base: int = 0) -> Windower:
    return Windower(STREAM, base, Removals())


def _data(window: Window) -> dict[str, Any]:
    frame = window.frame(sse).decode()
    data: dict[str, Any] = json.loads(frame.split("data: ", 1)[1])
    assert frame.startswith(f"id: {data['to']}\n")
    return data


def _says(windower: Windower, items: list[Item], apart_ms: int = 1) -> None:
    """Have *items* come on the feed, which the log took *apart_ms* after each other."""
    for seq, item in enumerate(items, windower.last + 1):
        windower.take(FeedMessage(seq, seq - 1, NOON_MS + seq * apart_ms, codec.encode(item)))


def _badged(number: int, badge: str, text: str = "so it is") -> Comment:
    return structs.replace(comment(number, text=text), user=User(id="eve", name="Eve", badges=[badge]))


def _told(windows: list[Window], cohort: int) -> list[int]:
    return [item.seq for window in windows for item in window.cut(cohort).items]


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


@pytest.mark.parametrize(("length", "most", "windows"), [(480, 200, 6), (1, 60, 9), (2000, 200, 19)])
def test_a_window_is_no_larger_than_a_socket_takes(length: int, most: int, windows: int) -> None:
    """However much is waiting, windows stay below their bounds in bytes and in items, and chain."""
    windower = _windower()
    for n in range(1, 501):
        windower.take(fed(comment(n, text="x" * length), n, n - 1))
    made = []
    while windower.dirty:
        made.append(windower.flush(0.0, most=most))

    assert [w.prev for w in made[1:]] == [w.to for w in made[:-1]]
    assert [item.seq for w in made for item in w.items] == list(range(1, 501))
    assert all(len(w.frame(sse)) < 65_536 and len(w.items) <= most for w in made)
    assert len(made) == windows


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


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["plain", "verified", "creator", "removed"]), min_size=1, max_size=80),
    st.sampled_from([1.0, 0.5, 0.1]),
    st.integers(0, 6),
    st.data(),
)
def test_samples_are_the_same_wherever_windows_end(kinds: list[str], share: float, per_s: int, data: st.DataObject) -> None:
    """Two gateways, one of which flushes at any time and the other at the end: each cohort is shown the same by both.

    Also where one of them heard of a comment only after it had been removed.
    """
    badges = {"verified": "verified", "creator": "creator", "plain": "guest", "removed": "guest"}
    items = [_badged(n, badges[kind]) for n, kind in enumerate(kinds, 1)]
    one, other, some = _windower(), _windower(), []
    for n, kind in enumerate(kinds, 1):
        if kind == "removed":
            other.removals.learn(removed(n), 1000)
    for item in items:
        _says(one, [item], apart_ms=150)
        if data.draw(st.booleans()):
            some.append(one.flush(0.0, share=share, per_s=per_s))
    some.append(one.flush(0.0, share=share, per_s=per_s))
    _says(other, list(items), apart_ms=150)
    whole = [other.flush(0.0, share=share, per_s=per_s)]

    for cohort in EVERYBODY:
        assert _told(some, cohort) == _told(whole, cohort)


def test_a_limit_needs_no_sample_and_tells_of_one_when_it_cuts() -> None:
    """A burst on a stream that is shown whole is limited at once; what is below the limit is everybody's and no sample."""
    windower = _windower()
    _says(windower, [comment(n) for n in range(1, 16)])
    few = windower.flush(0.0, per_s=20)
    _says(windower, [comment(n) for n in range(16, 501)])
    many = windower.flush(0.0, per_s=20)

    assert few.cuts == ()
    assert len(few.items) == 15
    for cohort in EVERYBODY:
        assert many.cut(cohort).sampled == (5, 485)
        assert [item.seq for item in many.cut(cohort).items] == [16, 17, 18, 19, 20]


def test_a_sampled_stream_keeps_up() -> None:
    """Its windows end by what is shown, not by what came: a share of 2 % takes fifty times as much; one flush is bounded."""
    windower = _windower()
    _says(windower, [comment(n) for n in range(1, 3 * MOST_DRAWN + 1)])
    windows = []
    while windower.dirty:
        windows.append(windower.flush(0.0, share=0.02))

    assert [len(window.items) for window in windows] == [MOST_DRAWN] * 3
    assert [window.prev for window in windows[1:]] == [window.to for window in windows[:-1]]
    windower = _windower()
    _says(windower, [comment(n, text="x" * 480) for n in range(1, 401)])
    windows = [windower.flush(0.0, share=0.5), windower.flush(0.0, share=0.5)]
    for window in windows:
        assert 0.8 * MOST_BYTES < max(sum(len(item.data) for item in cut.items) for cut in window.cuts) <= MOST_BYTES
    assert all(window.items[-1].seq == window.to for window in windows)


def test_what_waits_is_bounded_and_nothing_is_lost_silently() -> None:
    """Above the bound a stream that is shown whole is sampled until nothing waits: chained, told, and not the creator's."""
    windower = _windower()
    while windower.waiting < MOST_WAITING - 1000:
        _says(windower, [comment(windower.last, text="x" * 480)])
    windows = [windower.flush(0.0)]
    assert windows[0].cuts == ()
    assert not windower.shedding

    _says(windower, [_badged(windower.last, "creator"), *(comment(n, text="x" * 480) for n in range(100_001, 100_201))])
    count = windower.pending
    while windower.dirty:
        windows.append(windower.flush(0.0))
    assert windower.waiting == 0
    assert len(windows) < 3 + count / MOST_DRAWN
    assert [window.prev for window in windows[1:]] == [window.to for window in windows[:-1]]
    assert [item.seq for window in windows for item in window.items] == list(range(1, windower.last + 1))
    for cohort in EVERYBODY:
        assert all(MOST_BYTES / 4 < sum(len(i.data) for i in w.cut(cohort).items) <= MOST_BYTES for w in windows[1:-1])
        told = [window.cut(cohort).sampled for window in windows[1:]]
        assert sum(each[1] for each in told if each) == count
        assert sum(item.author_id == "eve" for window in windows for item in window.cut(cohort).items) == 1
    _says(windower, [comment(1)])
    assert windower.flush(0.0).cuts == ()


def test_windows_of_long_comments_fit_the_ring() -> None:
    """What a window leaves out is bounded in bytes as well; the share that is shown fills it all the same."""
    windower = _windower()
    while windower.waiting < MOST_WAITING:
        _says(windower, [comment(windower.last + n, text="語" * 500) for n in range(200)])
    _says(windower, [comment(windower.last, text="語" * 500)])
    windows = []
    while windower.dirty:
        windows.append(windower.flush(0.0))

    assert [item.seq for window in windows for item in window.items] == list(range(1, windower.last + 1))
    assert 2 * max(window.size for window in windows) < 4 * 1024 * 1024
    for cohort in EVERYBODY:
        assert all(MOST_BYTES / 4 < sum(len(i.data) for i in w.cut(cohort).items) <= MOST_BYTES for w in windows[:-1])


def test_the_age_of_what_waits() -> None:
    """It is known since when the oldest waits, also what a window left over, until it is flushed; within a hundredth."""
    windower = _windower()
    _says(windower, [comment(1)])
    windower.note(10.0)
    _says(windower, [comment(2)])
    windower.note(10.0 + APART_S / 2)
    _says(windower, [comment(3), comment(4)])
    windower.note(11.0)
    windower.note(12.0)

    assert windower.waiting_since == 10.0
    windower.flush(12.0, most=1)
    assert windower.waiting_since == 10.0
    windower.flush(12.0, most=2)
    assert windower.waiting_since == 11.0
    windower.flush(12.0)
    assert windower.waiting_since is None


def test_the_inflow_is_what_came_by_weight_and_by_the_logs_seconds() -> None:
    """What could not be flushed counts; what is always shown does not; what is read after an outage is no burst."""
    windower = _windower()
    _says(windower, [*(_badged(n, "creator") for n in range(1, 11)), *(comment(n) for n in range(11, 101))])
    assert windower.inflow() == 90
    assert windower.inflow() == 0
    _says(windower, [_badged(n, "verified", "why?") for n in range(101, 111)])
    assert windower.inflow() == 90 + 10 * 16
    windower.expect(2110)
    windower.fill([logged(comment(n), n) for n in range(1111, 9111)], until=9110)
    assert windower.inflow() == pytest.approx(1000, abs=1)
