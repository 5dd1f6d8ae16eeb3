"""Which buckets a page asks for before it knows which there are."""

from infra.scylla.outlines import BUCKETS, STREAMS, Outlines
from infra.scylla.places import BUCKET
from infra.scylla.wanted import NO_CURSOR, Wanted

FULL = [(n, 30_000) for n in (*range(4), 90, 91)]


def down(before: int) -> Wanted:
    """A page that ends below *before*."""
    return Wanted(stream_id="s", after=-1, before=before, descending=True, comments=True)


def up(after: int) -> Wanted:
    """A page that begins above *after*."""
    return Wanted(stream_id="s", after=after, before=NO_CURSOR, comments=True)


def test_a_page_amid_a_bucket_asks_for_that_one() -> None:
    """Both ways, seen or not; without a cursor it is the last or the first that was seen."""
    outlines = Outlines()
    amid = 2 * BUCKET + BUCKET // 2
    assert outlines.reach(down(amid), 50, 0).buckets == [2]
    assert outlines.reach(down(NO_CURSOR), 50, 0).buckets == []
    outlines.learn("s", FULL)
    assert outlines.reach(down(amid), 50, 0).buckets == [2]
    assert outlines.reach(up(amid), 50, 0).buckets == [2]
    assert outlines.reach(down(NO_CURSOR), 50, 0).buckets == [91]
    assert outlines.reach(up(-1), 50, 0).buckets == [0]


def test_near_an_edge_the_next_one_is_asked_for_too() -> None:
    """Neighbours that were seen need no list of buckets; whatever lies across a silence, or was not seen, does."""
    outlines = Outlines()
    unseen = outlines.reach(down(2 * BUCKET + 100), 50, 0)
    assert (unseen.buckets, unseen.whole) == ([2, 1], False)
    outlines.learn("s", FULL)
    beside = outlines.reach(down(2 * BUCKET + 100), 50, 0)
    assert (beside.buckets, beside.whole) == ([2, 1], True)
    across = outlines.reach(up(4 * BUCKET - 100), 50, 0)
    assert (across.buckets, across.whole) == ([3, 90], False)
    assert outlines.reach(down(100), 50, 0).buckets == [0]


def test_an_offset_asks_where_it_ends() -> None:
    """Buckets that are passed over whole are left out: their own counts say so."""
    outlines = Outlines()
    outlines.learn("s", FULL)
    amid = 91 * BUCKET + BUCKET // 2
    assert outlines.reach(down(amid), 50, 10_000).buckets == [91]
    beside = outlines.reach(down(amid), 50, 20_000)
    assert (beside.buckets, beside.whole) == ([91, 90], True)
    across = outlines.reach(down(amid), 50, 60_000)
    assert (across.buckets, across.whole) == ([91, 3], False)
    assert outlines.reach(down(amid), 50, 10_000).blocks < outlines.reach(down(amid), 50, 14_900).blocks < 128


def test_without_a_cursor_others_may_come_first() -> None:
    """The first bucket that was seen need not be the first: which there are is asked, wherever the offset ends."""
    outlines = Outlines()
    outlines.learn("s", [(n, 4000) for n in range(4, 12)])
    for offset in range(0, 20_000, 500):
        for wanted in (up(-1), down(NO_CURSOR)):
            assert not outlines.reach(wanted, 50, offset).whole


def test_what_is_remembered_is_bounded() -> None:
    """So many streams and so many buckets of each, those that were seen last."""
    outlines = Outlines()
    outlines.learn("s", [(n, 30_000) for n in range(BUCKETS + 5)])
    assert outlines.reach(up(-1), 50, 0).buckets == [5]
    for n in range(STREAMS):
        outlines.learn(str(n), FULL)
    assert outlines.reach(up(-1), 50, 0).buckets == []


def test_a_bucket_that_is_listed_no_more_is_asked_for_no_more() -> None:
    """What was seen where others are listed now has ended; what lies beyond the last of them may be there still."""
    for wanted, begins, listed, left in (
        (up(-1), 0, [(2, 9)], [2, 3]),
        (down(NO_CURSOR), 2**30, [(90, 9)], [90, 3]),
    ):
        outlines = Outlines()
        outlines.learn("s", [(0, 9), (1, 9), (2, 9), (3, 9), (90, 9), (91, 9)])
        outlines.learn("s", listed, begins)
        assert outlines.reach(wanted, 50, 5).buckets[:2] == left
