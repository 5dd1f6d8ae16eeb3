"""What a page costs on a cluster, in rows and in questions, wherever it lies."""

import random
from collections.abc import AsyncIterator, Callable

import pytest

from infra.scylla import Database, ScyllaComments
from infra.scylla.address import Address
from infra.scylla.database import Found
from infra.scylla.places import BLOCK, BUCKET
from infra.stores import LoggedItem
from tests.contract.histories import END, S, logged
from tests.factories import NOON_MS, comment, removed

LIMIT = 50
#: Seqs between two items of a long show, which so has four in a block.
STEP = BLOCK // 4
#: Its buckets: three, a silence, two more. A sweep lies across the edge of the second, five blocks before it and fifteen after.
HELD = (0, 1, 2, 60, 61)
SWEPT = range(2 * BUCKET - 5 * BLOCK, 2 * BUCKET + 15 * BLOCK)


@pytest.fixture
async def database(keyspace: Address) -> AsyncIterator[Database]:
    """A keyspace of the run's server; the test's stream is its own."""
    opened = await Database.open(keyspace)
    yield opened
    await opened.close()


def counting(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Count the rows of each question about items from now on; what it returns gives and forgets them."""
    sizes: list[int] = []
    real = database.read

    async def read(statement: str, *values: object, paged: bool = True) -> list[Found]:
        rows = await real(statement, *values, paged=paged)
        if ".items " in statement:
            sizes.append(len(rows))
        return rows

    monkeypatch.setattr(database, "read", read)

    def taken() -> list[int]:
        found = list(sizes)
        sizes.clear()
        return found

    return taken


async def test_a_page_beside_a_sweep_reads_comments(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve hundred removals in a row, half of the page before and half after them: both ways, what is read is the page."""
    store = ScyllaComments(database)
    stream_id = f"{S[:-4]}9a9e"
    first = [logged(comment(n), n, stream_id=stream_id) for n in range(1, 701)]
    sweep = [logged(removed(n - 700), n, stream_id=stream_id) for n in range(701, 1901)]
    last = [logged(comment(n), n, stream_id=stream_id) for n in range(1901, 2601)]
    await store.write([*first, *sweep, *last], {})
    taken = counting(database, monkeypatch)

    async def page(*, after: int = 0, before: int = END, descending: bool) -> list[int]:
        found = await store.comments(stream_id, after=after, before=before, descending=descending, limit=LIMIT)
        return [item.seq for item in found]

    for _ in range(2):
        for asked, wanted in (
            (page(before=1926, descending=True), [*range(1925, 1900, -1), *range(700, 675, -1)]),
            (page(after=675, descending=False), [*range(676, 701), *range(1901, 1926)]),
            (page(before=1901, descending=True), [*range(700, 650, -1)]),
            (page(after=700, descending=False), [*range(1901, 1951)]),
            (page(before=2200, descending=True), [*range(2199, 2149, -1)]),
        ):
            assert await asked == wanted
            sizes = taken()
            assert len(sizes) <= 2, sizes
            # A few more, of which some might have been removals.
            assert sum(sizes) <= LIMIT + 40, sizes


def show(stream_id: str) -> list[LoggedItem]:
    """A long show, of few comments for its length."""
    seqs = [bucket * BUCKET + place for bucket in HELD for place in range(STEP - 1, BUCKET, STEP)]
    return [logged(removed(seq) if seq in SWEPT else comment(seq), seq, stream_id=stream_id) for seq in seqs]


def waits(database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, int]]:
    """Count questions from now on, and how many waited one for the other; what it returns gives and forgets both."""
    asked, answered = 0, 0
    real = database.read

    async def read(statement: str, *values: object, paged: bool = True) -> list[Found]:
        nonlocal asked, answered
        asked, turn = asked + 1, answered + 1
        rows = await real(statement, *values, paged=paged)
        answered = max(answered, turn)
        return rows

    monkeypatch.setattr(database, "read", read)

    def taken() -> tuple[int, int]:
        nonlocal asked, answered
        found = asked, answered
        asked = answered = 0
        return found

    return taken


async def test_no_page_waits_for_more_than_two_answers(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends, middle, edges of buckets, a sweep across one, a silence; by cursor and by offset: rows are the second question."""
    store, stream_id = ScyllaComments(database), f"{S[:-4]}9a9f"
    items = show(stream_id)
    await store.write(items, {})
    seqs = [item.seq for item in items if item.seq not in SWEPT]
    cursors = {
        "end": None,
        "middle": 1 * BUCKET + BUCKET // 2,
        "below an edge": BUCKET - 3 * BLOCK,
        "above an edge": BUCKET + 3 * BLOCK,
        "below a sweep": SWEPT.start - 3 * BLOCK,
        "above a sweep": SWEPT.stop + 3 * BLOCK,
        "before the silence": 3 * BUCKET - 3 * BLOCK,
        "after the silence": 60 * BUCKET + 3 * BLOCK,
    }
    kinds = [(offset, where, down) for offset in (0, 300) for where in cursors for down in (True, False)]
    questions = {}
    for turn in range(2):
        taken = waits(database, monkeypatch) if turn else None
        for offset, where, down in kinds:
            cursor = cursors[where]
            after, before = (0, cursor or END) if down else (cursor or 0, END)
            page = await store.comments(stream_id, after=after, before=before, descending=down, limit=LIMIT, offset=offset)
            wanted = [seq for seq in seqs if after < seq < before][:: -1 if down else 1][offset : offset + LIMIT]
            assert [item.seq for item in page] == wanted, (offset, where, down)
            if taken:
                questions[offset, where, down] = taken()
    slow = {kind: (asked, waited) for kind, (asked, waited) in questions.items() if waited > 2 or asked > (5 if kind[0] else 4)}
    assert not slow


async def test_a_guess_is_not_believed(database: Database) -> None:
    """One handle has seen where comments are; others come between, before and after them, and all of a bucket is erased."""
    store, stream_id, chance = ScyllaComments(database), f"{S[:-4]}9aa0", random.Random(3)
    items = show(stream_id)
    await store.write([item for item in items if BUCKET <= item.seq < 61 * BUCKET], {})

    async def check(left: list[int]) -> None:
        edges = [bucket * BUCKET + chance.randint(-2000, 2000) for bucket in (1, 2, 3, 30, 31, 60, 61) for _ in range(3)]
        # First across the silence: the pages after it have seen more.
        for cursor in (60 * BUCKET + 2000, None, *edges):
            down, offset = (
                (True, 0) if cursor == 60 * BUCKET + 2000 else (chance.random() < 0.5, chance.choice((0, 0, 100, 700)))
            )
            after, before = (0, cursor or END) if down else (cursor or 0, END)
            page = await store.comments(stream_id, after=after, before=before, descending=down, limit=LIMIT, offset=offset)
            wanted = [seq for seq in left if after < seq < before][:: -1 if down else 1]
            assert [item.seq for item in page] == wanted[offset : offset + LIMIT], (cursor, down, offset)

    seqs = [item.seq for item in items if item.seq not in SWEPT]
    await check([seq for seq in seqs if BUCKET <= seq < 61 * BUCKET])
    late = [30 * BUCKET + n for n in range(0, 7000, 100)]
    others = [logged(comment(seq), seq, stream_id=stream_id) for seq in late]
    await ScyllaComments(database).write([*items[:512], *others, *items[-512:]], {})
    seqs = sorted(seqs + late)
    await check(seqs)
    gone = [seq for seq in seqs if BUCKET <= seq < 2 * BUCKET]
    await ScyllaComments(database).erase(stream_id, gone, NOON_MS + 10**9)
    await check([seq for seq in seqs if seq not in set(gone)])
