"""Many questions for keys at once: each gets its own answer, in few reads, and is told when there is none."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.errors import Unavailable
from infra.sqlite import Database, SqliteComments, lookups
from infra.sqlite.lookups import SIZES, STATEMENTS, Lookups
from tests.contract.histories import OTHER, S, logged
from tests.factories import comment


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An open file."""
    opened = await Database.open(tmp_path / "ovation.sqlite", busy_s=0.2)
    yield opened
    await opened.close()


@pytest.mark.parametrize("count", [1, 2, SIZES[1], SIZES[1] + 1, SIZES[2] + 1, 1000])
async def test_each_question_gets_its_own_answer(database: Database, count: int) -> None:
    """Known keys and unknown ones, of two streams, asked twice by some, in one go and more than one read holds."""
    store = SqliteComments(database)
    await store.write([logged(comment(n), n, key=f"k{n}") for n in range(1, count + 1)], {})
    asked = [(stream, f"k{n}") for n in range(count + 5) for stream in (S, S, OTHER)]
    found = await asyncio.gather(*(store.by_msg_id(*question) for question in asked))

    expected = [int(key[1:]) if stream == S and 1 <= int(key[1:]) <= count else None for stream, key in asked]
    assert expected == [item.seq if item else None for item in found]
    assert [key for _, key in asked if int(key[1:]) < 3] == [
        item.msg_id if item else key for item, (_, key) in zip(found, asked, strict=True) if int(key[1:]) < 3
    ]


async def test_questions_gather_while_one_is_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand posts at once are a handful of reads, not a thousand turns of a thread."""
    reads = 0
    original = Database.query

    async def counting(self: Database, question: str, values: list[object]) -> list[tuple[object, ...]]:
        nonlocal reads
        reads += 1
        return await original(self, question, values)

    monkeypatch.setattr(Database, "query", counting)
    store = Lookups(database)
    await asyncio.gather(*(store.by_msg_id(S, f"k{n}") for n in range(1000)))

    assert reads <= 1000 // SIZES[-1] + 2


async def test_a_failing_read_is_told_and_the_next_one_works(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever for a read that failed; who left meanwhile disturbs nobody."""
    store = Lookups(database)
    with monkeypatch.context() as broken:
        broken.setitem(STATEMENTS, SIZES[1], "SELECT * FROM nowhere")
        waiting = [asyncio.create_task(store.by_msg_id(S, f"k{n}")) for n in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        failed = await asyncio.gather(*waiting, return_exceptions=True)

    assert [isinstance(each, asyncio.CancelledError) for each in failed] == [False, True, False]
    assert "no such table" in str(failed[0])
    assert await store.by_msg_id(S, "k") is None


async def test_what_waits_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound a question is refused, and the others are answered."""
    monkeypatch.setattr(lookups, "MAX_WAITING", 3)
    store = Lookups(database)
    waiting = [asyncio.create_task(store.by_msg_id(S, f"k{n}")) for n in range(4)]
    answers = await asyncio.gather(*waiting, return_exceptions=True)

    assert answers[:3] == [None] * 3
    assert isinstance(answers[3], Unavailable)


async def test_no_question_walks_a_stream(database: Database) -> None:
    """Every size's plan is one search of an index for each key."""
    for size, statement in STATEMENTS.items():
        rows = await database.query(f"EXPLAIN QUERY PLAN {statement}", [None, None] * size)
        steps = [row[3] for row in rows]
        assert any(step.startswith("SEARCH items USING INDEX items_by_msg_id (no=? AND msg_id=?)") for step in steps)
        assert not any("TEMP B-TREE" in step or "SCAN items" in step or "SCAN tally" in step for step in steps)
