"""Many keys at once: each finds its own comment, in few statements."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.sqlite import Database, SqliteComments
from infra.sqlite.lookups import SIZES, STATEMENTS
from tests.contract.histories import OTHER, S, logged
from tests.factories import comment


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An open file."""
    opened = await Database.open(tmp_path / "ovation.sqlite", busy_s=0.2)
    yield opened
    await opened.close()


@pytest.mark.parametrize("count", [1, 2, SIZES[1], SIZES[1] + 1, SIZES[2] + 1, 1000])
async def test_each_key_finds_its_own(database: Database, count: int) -> None:
    """Known keys and unknown ones, of two streams, some asked twice, in one go and more than one statement holds."""
    store = SqliteComments(database)
    await store.write([logged(comment(n), n, key=f"k{n}") for n in range(1, count + 1)], {})
    found = await store.by_msg_ids([(stream, f"k{n}") for n in range(count + 5) for stream in (S, S, OTHER)])

    assert {(S, f"k{n}"): n for n in range(1, count + 1)} == {each: item.seq for each, item in found.items()}
    assert all(item.msg_id == key for (_, key), item in found.items())


async def test_many_are_few_statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand keys are a handful of reads, not a thousand turns of a thread."""
    reads = 0
    original = Database.query

    async def counting(self: Database, question: str, values: list[object]) -> list[tuple[object, ...]]:
        nonlocal reads
        reads += 1
        return await original(self, question, values)

    monkeypatch.setattr(Database, "query", counting)

    assert await SqliteComments(database).by_msg_ids([(S, f"k{n}") for n in range(1000)]) == {}
    assert reads == -(-1000 // SIZES[-1])


async def test_no_question_walks_a_stream(database: Database) -> None:
    """Every size's plan is one search of an index for each key."""
    for size, statement in STATEMENTS.items():
        rows = await database.query(f"EXPLAIN QUERY PLAN {statement}", [None, None] * size)
        steps = [row[3] for row in rows]
        assert any(step.startswith("SEARCH items USING INDEX items_by_msg_id (no=? AND msg_id=?)") for step in steps)
        assert not any("TEMP B-TREE" in step or "SCAN items" in step or "SCAN tally" in step for step in steps)
