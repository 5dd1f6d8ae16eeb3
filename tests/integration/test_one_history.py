"""Log and store are one history, wherever the log begins and however far the archive has come: also while both move."""

from functools import partial
from pathlib import Path

import pytest

from gateway.history import History
from gateway.removals import Removals
from gateway.shown import Shown
from infra.scylla import Database as Keyspace
from infra.scylla import ScyllaComments
from infra.scylla.address import Address
from schemas.items import Comment, Purged, Removed
from tests.backends.nats import NatsServer
from tests.boundary import Boundary, Said, Told, boundary
from tests.broker import broker
from tests.factories import comment

pytestmark = [pytest.mark.nats]

#: Each seed is a story of its own. More of them: `for seed in ...` in a shell; a hundred of each were seen.
SEEDS = range(4)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store without a core is waited for: how far it was known to be is not enough where the log forgets at once."""
    monkeypatch.setattr("gateway.unarchived.ANSWERS_S", 30.0)
    # Nobody moves the mark while a hand of ours is waited for.
    monkeypatch.setattr("gateway.ranges.STANDS_S", 0.0)


@pytest.mark.parametrize("seed", SEEDS)
async def test_any_boundary(own_nats_server: NatsServer, tmp_path: Path, seed: int) -> None:
    """Pages, threads, times, totals and replays are the same wherever the boundary lies, to the first look and the next."""
    async with boundary(own_nats_server.url, tmp_path, seed) as it:
        await anywhere(it, rounds=8)


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_nobody_archived(own_nats_server: NatsServer, tmp_path: Path, seed: int) -> None:
    """A log that forgot more than was archived: everything that either has, and a gap that covers what neither has."""
    async with boundary(own_nats_server.url, tmp_path, seed) as it:
        for _ in range(8):
            await happen(it)
            await it.trim(lossy=it.chance.random() < 0.5)
            await agrees(it, it.history())
            await chains(it, it.history())


@pytest.mark.parametrize("seed", SEEDS)
async def test_while_it_moves(own_nats_server: NatsServer, tmp_path: Path, seed: int) -> None:
    """Comments come, the archive writes and the log forgets between any two reads: nothing is missed, nothing comes twice."""
    async with boundary(own_nats_server.url, tmp_path, seed) as it:
        await moving(it, rounds=5)


@pytest.mark.parametrize(
    "question", ["range", "total", "desc", "few", "asc", "offset", "replies", "comment", "original", "newest"]
)
async def test_a_leap_between_any_two_reads(own_nats_server: NatsServer, tmp_path: Path, question: str) -> None:
    """All of the log is archived and forgotten between the first two reads of an answer, or the next two, ..."""
    async with boundary(own_nats_server.url, tmp_path, 3) as it:
        history = it.history()
        for reads in range(24):
            await it.post()
            parent = next(each.item for each in it.ours(it.said) if isinstance(each.item, Comment))
            await it.say(comment(10**6 + 2 * reads, parent=parent.comment_id))
            removed = 10**6 + 2 * reads - 1
            await it.say(comment(removed))
            if reads:
                await it.archive(10**6)
            await it.say(Removed(comment_id=str(removed), reason="author"))
            await it.say(comment(10**7 + reads))
            # So that a gateway that kept it would believe it.
            await history.state(it.record)
            it.leap_after(reads)
            await answered(it, history, question)
            if it.moves:
                assert reads > 2, "it reads less than it used to"
                return
        pytest.fail("more reads than were looked at")


@pytest.mark.parametrize("seed", range(2))
async def test_on_a_cluster(own_nats_server: NatsServer, keyspace: Address, seed: int) -> None:
    """The same on CQL, where a page is many partitions and a total is counted."""
    database = await Keyspace.open(keyspace)
    try:
        async with broker(own_nats_server.url) as b:
            it = Boundary(b, ScyllaComments(database), seed)
            await it.begin()
            await anywhere(it, rounds=3)
            await moving(it, rounds=3)
    finally:
        await database.close()


async def test_a_raid_at_the_end(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Behind five hundred purged comments, archived or not, a backfill still finds the newest that may be seen."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        kept = [await it.say(comment(n, author="ada")) for n in range(1, 21)]
        for n in range(21, 521):
            await it.say(comment(n, author="eve"))
        await it.say(Purged(user_id="eve"))
        for most in (0, 300, 10_000):
            await it.archive(most)
            history = it.history()
            items, previous = await history.newest(it.record, it.said[-1].seq, 5, await history.removals(it.record))
            # The purge itself is the fifth.
            assert [item.seq for item in items if item.comment is not None] == kept[-4:]
            assert previous == kept[-5]
            assert len(items) == 4 + 500 + 1


def decided(it: Boundary) -> Removals:
    """What somebody knows who has followed the stream."""
    removals = Removals()
    for each in it.ours(it.said):
        removals.learn(each.item, each.seq)
    return removals


async def answered(it: Boundary, history: History, question: str) -> None:
    """What is asked is answered as if nothing moved."""
    comments, record, until = it.comments(), it.record, it.said[-1].seq
    newest = it.said[-1].item
    assert isinstance(newest, Comment)
    match question:
        case "range":
            # The set of what is removed is its caller's, from before.
            items, missing = await history.range(record, 0, until, 1000, decided(it))
            assert [item.seq for item in items] == [seq for seq, _ in it.told()]
            assert missing is None
        case "total":
            assert await history.total(record) == (it.counted(), True)
        case "desc" | "asc" | "offset" | "few":
            descending, offset, limit = question != "asc", 3 if question == "offset" else 0, 2 if question == "few" else 1000
            page = await history.comments(record, after=0, before=None, descending=descending, limit=limit, offset=offset)
            assert told(page) == (comments[::-1] if descending else comments)[offset : offset + limit]
        case "replies":
            said = {each.seq: each.item for each in it.ours(it.said) if isinstance(each.item, Comment)}
            parent = next(iter(said.values())).comment_id
            wanted = [each for each in comments if said[each[0]].parent_comment_id == parent]
            assert told(await history.replies(record, parent, 0, 1000)) == wanted
        case "comment":
            found = await history.comment(record, newest.comment_id)
            assert found is not None
            assert found.seq == until
        case "original":
            original = await history.original(record, until)
            assert original is not None
            assert original[0] == newest
        case "newest":
            items, _ = await history.newest(record, until, 1000, decided(it))
            assert [item.seq for item in items] == [seq for seq, _ in it.told()]


# What happens, and what is asked.


async def happen(it: Boundary) -> None:
    """A few things of any kind."""
    for _ in range(it.chance.randint(1, 8)):
        await (it.post if it.chance.random() < 0.75 else it.decide)()
    for _ in range(it.chance.randint(0, 2)):
        await it.archive(beyond=it.chance.random() < 0.3)


async def anywhere(it: Boundary, rounds: int) -> None:
    """Move the boundary, and ask everything."""
    again = it.history()
    for _ in range(rounds):
        await happen(it)
        await it.trim()
        for history in (it.history(), again):
            await agrees(it, history)
            await chains(it, history)


async def agrees(it: Boundary, history: History) -> None:
    """Every page, thread, time and total is what the model says."""
    comments, chance, record = it.comments(), it.chance, it.record
    seqs = [seq for seq, _ in comments] or [0]
    times = {each.seq: each.at_ms for each in it.known()}
    for descending in (False, True):
        assert await paged(it, history, descending=descending) == (comments[::-1] if descending else comments)
        for _ in range(4):
            after, before = sorted(chance.choices([*seqs, 0, 2**53], k=2))
            offset, limit = chance.choice((0, 0, 1, 3, len(seqs))), chance.randint(1, 12)
            low, high = sorted(chance.choices([*times.values(), 2**50], k=2)) if chance.random() < 0.5 else (None, None)
            found = await history.comments(
                record, after=after, before=before, descending=descending,
                limit=limit, offset=offset, from_ms=low, to_ms=high,
            )  # fmt: skip
            wanted = [
                each
                for each in comments
                if after < each[0] < before
                and (low is None or low <= times[each[0]])
                and (high is None or times[each[0]] < high)
            ]
            wanted = wanted[::-1] if descending else wanted
            assert told(found) == wanted[offset : offset + limit], (after, before, descending, offset, limit, low, high)
    await threads(it, history)
    total, exact = await history.total(record)
    # A purge that is not archived yet may concern any number of comments.
    if exact:
        assert total == it.counted()
    purges = [each.seq for each in in_log(it) if isinstance(each.item, Purged)]
    assert not exact or all(seq <= it.through for seq in purges)
    # Where the mark was half a second ago may be before one that is archived by now.
    assert exact or purges


def in_log(it: Boundary) -> list[Said]:
    """What the log has of the stream."""
    return [each for each in it.known() if each.seq >= it.first]


async def threads(it: Boundary, history: History) -> None:
    """Each thread, a few replies at a time; and each comment by its id."""
    said = {each.seq: each.item for each in it.known() if isinstance(each.item, Comment)}
    comments = it.comments()
    for seq, reason in it.chance.sample(comments, min(4, len(comments))):
        found = await history.comment(it.record, said[seq].comment_id)
        assert found is not None
        assert (found.seq, found.removed) == (seq, reason)
    for parent in {each.parent_comment_id for each in said.values() if each.parent_comment_id}:
        thread: list[Told] = []
        limit = it.chance.randint(1, 3)
        while page := await history.replies(it.record, parent, thread[-1][0] if thread else 0, limit):
            thread += told(page)
            assert len(page) <= limit
        assert thread == [each for each in comments if said[each[0]].parent_comment_id == parent]


async def paged(it: Boundary, history: History, *, descending: bool) -> list[Told]:
    """All comments, page by page, as a client with a cursor reads them."""
    found: list[Told] = []
    while True:
        cursor = found[-1][0] if found else None
        page = await history.comments(
            it.record,
            after=0 if descending or cursor is None else cursor,
            before=cursor if descending else None,
            descending=descending,
            limit=it.chance.randint(1, 7),
        )
        if not page:
            return found
        found += told(page)


async def chains(it: Boundary, history: History) -> None:
    """A replay: every item in order; what is missing lies in a gap, and a gap has nothing that could have been delivered."""
    removals = await history.removals(it.record)
    expected = dict(it.told())
    position, until = it.chance.choice((0, it.first - 1, it.through)), it.said[-1].seq
    began = position
    found: list[Told] = []
    lost: list[tuple[int, int]] = []
    while position < until:
        limit = it.chance.randint(1, 9)
        items, missing = await history.range(it.record, position, until, limit, removals)
        found += [(item.seq, item.removed) for item in items]
        position = items[-1].seq if len(items) >= limit else until
        if missing is not None:
            lost.append((missing.from_, missing.to))
            position = max(position, missing.to)
    assert found == sorted(set(found))
    assert all(reason == expected[seq] for seq, reason in found)
    gone = [seq for seq in expected if seq > began and seq not in dict(found)]
    # What is in a gap is not in the log, nor in the part of the store that is known to be whole.
    assert all(it.through < seq < it.first for seq in gone)
    assert all(any(low <= seq <= high for low, high in lost) for seq in gone)
    # What the log forgot before an archive that was away came to it: the mark passes it, and nobody knows of it any more.
    forgotten = [each.seq for each in it.ours(it.said) if max(began, it.through) < each.seq and each.seq not in expected]
    assert all(any(low <= seq <= high for low, high in lost) for seq in forgotten)
    if it.first <= it.through + 1:
        assert not lost


async def moving(it: Boundary, rounds: int) -> None:
    """Ask while the boundary moves between the reads of each answer."""
    history = it.history()
    for _ in range(rounds):
        await happen(it)
        # No decisions: then what was there before is certain, and a total only grows.
        for descending in (False, True):
            before = it.comments()
            beyond = partial(it.archive, beyond=True)
            it.moves = [it.chance.choice((it.post, it.archive, it.archive, beyond, it.trim, it.trim)) for _ in range(40)]
            found = await paged(it, history, descending=descending)
            it.moves = []
            seqs = [seq for seq, _ in found]
            assert seqs == sorted(set(seqs), reverse=descending)
            assert [each for each in found if each in before] == (before[::-1] if descending else before)
            assert set(found) <= set(it.comments())
        await total_while_moving(it, history)
        await range_while_moving(it, history)


async def total_while_moving(it: Boundary, history: History) -> None:
    """A total is never less than there were when it was asked for, nor more than when it was answered."""
    await it.archive(10_000)
    for _ in range(5):
        await it.post()
    low = it.counted()
    it.moves = [it.chance.choice((it.post, it.archive, it.trim)) for _ in range(12)]
    total, exact = await history.total(it.record)
    it.moves = []
    assert exact
    assert low <= total <= it.counted()


async def range_while_moving(it: Boundary, history: History) -> None:
    """A replay meets no gap where the archive took everything before the log forgot it."""
    removals = await history.removals(it.record)
    expected, until, position = it.told(), it.said[-1].seq, 0
    found: list[Told] = []
    while position < until:
        it.moves = [it.chance.choice((it.post, it.archive, it.trim, it.trim)) for _ in range(6)]
        items, missing = await history.range(it.record, position, until, 5, removals)
        it.moves = []
        assert missing is None
        found += [(item.seq, item.removed) for item in items]
        position = items[-1].seq if len(items) >= 5 else until
    assert found == [each for each in expected if each[0] <= until]


def told(page: list[Shown]) -> list[Told]:
    """What a page says."""
    assert all((shown.comment is None) == (shown.removed is not None) for shown in page)
    return [(shown.seq, shown.removed) for shown in page]
