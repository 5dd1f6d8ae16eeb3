"""What a cluster tells of a stream whose comments have begun to end: the rows that are there, in totals, offsets and pages."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from infra.scylla import Address, Database, ScyllaComments, lives
from infra.scylla.database import Found
from infra.scylla.places import BLOCK, BUCKET
from infra.stores import LoggedItem
from tests.contract.histories import END, S, logged
from tests.contract.scylla_backend import ScyllaBackend, emptied
from tests.factories import NOON_MS, comment, removed
from tests.waits import PATIENCE_S, eventually

#: Seconds that the first comments live, while the others outlive the test.
SHORT_S, LONG_S = 6, 3600
#: From here on the tests decide; below are comments.
DECIDED = BUCKET + 5000
#: So long before a comment ends its count is not believed any more: the minute of `lives` is more than these live.
SLACK_S = 1


@pytest.fixture
async def backend(keyspace: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScyllaBackend]:
    """A keyspace without rows, whose counts are believed until shortly before a comment of theirs ends."""
    monkeypatch.setattr(lives, "SLACK_S", SLACK_S)
    async with emptied(keyspace, tmp_path) as backend:
        yield backend


async def living(backend: ScyllaBackend, ttl_s: int) -> ScyllaComments:
    """A handle by which what is written lives that long."""
    backend.address = msgspec.structs.replace(backend.address, ttl_s=ttl_s)
    await backend.open()
    return ScyllaComments(backend.databases[-1])


def comments(*ranges: Sequence[int]) -> list[LoggedItem]:
    """A comment at each seq of *ranges*."""
    return [logged(comment(seq), seq) for each in ranges for seq in each]


async def only_left(database: Database, seqs: Sequence[int]) -> None:
    """Wait until the items at *seqs* are all that there are."""

    async def are_left() -> bool:
        rows = await database.read("SELECT seq, at_ms FROM {ks}.items WHERE stream_id = ? AND bucket IN (0, 1)", S)
        return {row.seq for row in rows if row.at_ms is not None} == set(seqs)

    await eventually(are_left, timeout=SHORT_S + PATIENCE_S)


async def check(store: ScyllaComments, left: Sequence[int], gone: Sequence[int], tail: int) -> None:
    """Of the stream there are the comments *left*, of which *gone* are removed: so say its totals and all of its pages."""
    shown = [seq for seq in left if seq not in set(gone)]
    assert await store.total(S) == len(shown)
    marks = (1, 299, 300, BLOCK - 1, BLOCK, 4 * BLOCK - 1, BUCKET - 1, BUCKET, BUCKET + 199, BUCKET + 250, tail, END)
    for until in marks:
        assert await store.total(S, until) == len([seq for seq in shown if seq <= until]), until
    assert await store.tail(S) == tail
    assert [item.seq for item in await store.range(S, 0, DECIDED - 1, 2000)] == list(left)
    assert [item.seq for item in await store.newest(S, DECIDED, 2000)] == list(left)[::-1]

    async def page(wanted: Sequence[int], *, down: bool, after: int = 0, before: int = END, **asked: int) -> None:
        found = await store.comments(S, after=after, before=before, descending=down, limit=60, **asked)
        offset = asked.get("offset", 0)
        expected = [seq for seq in wanted if after < seq < before][:: -1 if down else 1][offset : offset + 60]
        assert [item.seq for item in found] == expected, (down, after, before, asked)

    for offset in (0, 65, 100, 290, 350, 700, 2000):
        for cursor in (2, 250, 400, 3 * BLOCK + 50, BUCKET + 9):
            await page(left, down=False, after=cursor, offset=offset)
            await page(left, down=True, before=cursor, offset=offset)
        for down in (False, True):
            await page(left, down=down, offset=offset)
    for first, last in ((1, 500), (200, 3 * BLOCK + 50), (700, 2 * BUCKET)):
        timed = [seq for seq in left if first <= seq < last]
        for down in (False, True):
            await page(timed, down=down, from_ms=NOON_MS + first, to_ms=NOON_MS + last)
            await page(timed, down=down, from_ms=NOON_MS + first, to_ms=NOON_MS + last, offset=100)


async def test_what_has_ended_is_in_no_total_and_no_page(backend: ScyllaBackend) -> None:
    """The first comments of the stream, of a bucket and of blocks end while others stand there: all answers are of these.

    Whatever was removed late beside them, or written again, in whatever handle asked while they lived.
    """
    store = await living(backend, SHORT_S)
    # Of the first block a part, of the fourth all, and of the first one of the second bucket a part.
    await store.write(comments(range(1, 301), range(3 * BLOCK, 4 * BLOCK), range(BUCKET, BUCKET + 200)), {})
    later = await living(backend, LONG_S)
    left = [*range(41, 61), *range(301, 900), 3 * BLOCK + 99, *range(BUCKET + 200, BUCKET + 500)]
    await later.write(comments(left), {})
    on = (5, 50, 3 * BLOCK + 5, BUCKET + 7, 700, BUCKET + 300)
    decided = [logged(removed(seq), DECIDED + number) for number, seq in enumerate(on)]
    await later.write(decided, {})
    gone, tail = [50, 700, BUCKET + 300], decided[-1].seq
    # What it saw of the stream is wrong soon.
    await later.comments(S, after=0, before=END, descending=False, limit=60)

    await only_left(backend.databases[-1], [*left, *(item.seq for item in decided)])
    for each in (later, await living(backend, LONG_S)):
        await check(each, left, gone, tail)
    # Counted once more, by whoever writes on.
    left += [BUCKET + 500]
    await later.write(comments([900], [BUCKET + 500]), {})
    await check(later, sorted([*left, 900]), gone, tail)


async def test_a_stream_of_which_a_removal_is_left(backend: ScyllaBackend) -> None:
    """All of its comments have ended, and what was decided late on one of them stands: it has no total and no page."""
    store = await living(backend, SHORT_S)
    await store.write(comments(range(1, 301)), {})
    later = await living(backend, LONG_S)
    await later.write([logged(removed(5), DECIDED)], {})
    await only_left(backend.databases[-1], [DECIDED])
    await check(later, [], [], DECIDED)


async def test_what_was_counted_ends_with_what_it_counted(backend: ScyllaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A count shortly before its first comment, all else shortly after its last item, whoever writes late; or never."""
    first, later, for_ever = [await living(backend, ttl_s) for ttl_s in (1000, 5000, 0)]
    monkeypatch.setattr(lives, "SLACK_S", 60)
    spans = {"young": 0, "mixed": 1, "erased": 2, "never": 3, "too soon": BUCKET // BLOCK}
    at = {name: number * BLOCK for name, number in spans.items()}
    await first.write(comments(*(range(at[name] + 1, at[name] + 9) for name in ("young", "mixed", "erased"))), {})
    await later.write(comments([at["mixed"] + 20]), {})
    await for_ever.write(comments([at["never"] + 1]), {})
    soon = await living(backend, 30)
    await soon.write(comments([at["too soon"] + 1]), {})
    decided = [logged(removed(at[name] + 1), 5 * BLOCK + number) for number, name in enumerate(spans)]
    await later.write([*decided, logged(removed(1), 7 * BUCKET)], {})
    await later.erase(S, [at["erased"] + 3], NOON_MS + 10**9)

    database = backend.databases[-1]
    question = "SELECT block, ttl(comments) AS believed, ttl(high_seq) AS kept, ttl(last_seq) AS last FROM {ks}.tallies"
    blocks = {row.block: row for row in await database.read(f"{question} WHERE stream_id = ? AND bucket IN (0, 1)", S)}
    left = {name: (blocks[number].believed, blocks[number].kept, blocks[number].last) for name, number in spans.items()}
    for name, kept in (("young", 1060), ("mixed", 5060), ("erased", 1060)):
        assert 800 < left[name][0] <= 940, left
        assert kept - 200 < left[name][1] <= kept, left
        assert kept - 200 < left[name][2] <= kept, left
    assert left["never"] == (None, None, None)
    assert left["too soon"][0] is None
    assert 0 < left["too soon"][1] <= 90
    question = "SELECT bucket, shown, ttl(shown) AS believed, ttl(high_seq) AS kept FROM {ks}.buckets WHERE stream_id = ?"
    empty_one, none, believed = await database.read(question, S)
    assert empty_one.shown == 0
    assert 4800 < empty_one.believed <= empty_one.kept <= 5000
    assert (believed.shown, believed.kept) == (21, None)
    assert 800 < believed.believed <= 940
    assert (none.shown, none.believed) == (None, None)
    assert await later.total(S) == await for_ever.total(S) == 21
    assert await later.total(S, END) == 21


async def test_what_is_ending_costs_a_few_questions(backend: ScyllaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A total is one question while nothing ends, then one for the oldest, one beyond, two for a bucket, one for a block."""
    store = await living(backend, LONG_S)
    await store.write(comments(range(1, 100), range(BUCKET, BUCKET + 100), range(9 * BUCKET, 9 * BUCKET + 100)), {})
    database, asked = backend.databases[-1], 0
    real = database.read

    async def read(statement: str, *values: object, paged: bool = True) -> list[Found]:
        nonlocal asked
        asked += 1
        return await real(statement, *values, paged=paged)

    monkeypatch.setattr(database, "read", read)
    assert (await store.total(S), asked) == (299, 1)
    # Counted by whoever believes nothing that ends within the day.
    monkeypatch.setattr(lives, "SLACK_S", 86_400)
    await store.write(comments([100]), {})
    asked = 0
    assert (await store.total(S), asked) == (300, 6)
    for _ in range(2):
        asked = 0
        page = await store.comments(S, after=0, before=END, descending=False, limit=60)
        assert [item.seq for item in page] == list(range(1, 61))
        # Of a young stream three: how many a block has that is ending is not known, so the one after it is read as well.
        assert asked <= 4
