"""The file: who may open it, what its failures say, and that questions stay cheap."""

import asyncio
import contextlib
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.errors import StoreTooNew, Unavailable
from infra.sqlite import Database, SqliteComments, batch, comments
from infra.sqlite import database as module
from infra.sqlite.schema import MIGRATIONS
from tests.contract.histories import LOG, S, logged
from tests.factories import NOON_MS, comment
from tests.waits import PATIENCE_S, eventually


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """An open file."""
    opened = await Database.open(tmp_path / "ovation.sqlite", busy_s=0.2)
    yield opened
    await opened.close()


async def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Gateways and archive start together: one of them makes the schema, all of them can use it."""
    path = tmp_path / "new" / "folder" / "ovation.sqlite"
    opened = await asyncio.gather(*(Database.open(path) for _ in range(8)))
    try:
        await SqliteComments(opened[0]).write([logged(comment(1), 1)], {LOG: 1})
        assert [await SqliteComments(each).total(S) for each in opened] == [1] * 8
    finally:
        for each in opened:
            await each.close()


async def test_a_reader_cannot_write(database: Database) -> None:
    """Only `write` writes: a mistake in a question fails instead of changing rows."""
    with pytest.raises(Unavailable, match="readonly"):
        await database.read(lambda db: db.execute("DELETE FROM items"))


async def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """The message names the file, both formats and the ways out."""
    path = tmp_path / "ovation.sqlite"
    await (await Database.open(path)).close()
    with sqlite3.connect(path) as direct:
        direct.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    direct.close()
    with pytest.raises(StoreTooNew, match=rf"{re.escape(str(path))} has format {len(MIGRATIONS) + 1}.*OVATION_DATA_DIR"):
        await Database.open(path)


async def test_a_file_of_the_first_format_counts_on(tmp_path: Path) -> None:
    """Its rows were counted by a trigger, the next ones by their batch: none twice; and its pages are found by time."""
    path = tmp_path / "ovation.sqlite"
    old = sqlite3.connect(path)
    for statement in MIGRATIONS[0]:
        old.execute(statement)
    old.execute("PRAGMA user_version = 1")
    with old:
        # A trigger counts them.
        old.execute("INSERT INTO tally (no, stream_id) VALUES (1, ?)", (S,))
        old.executemany(batch._NEW, [batch._row(1, logged(comment(n), n)) for n in range(1, 4)])  # noqa: SLF001 - as it was then
    old.close()
    opened = await Database.open(path)
    try:
        store = SqliteComments(opened)
        await store.write([logged(comment(n), n) for n in range(2, 8)], {LOG: 7})
        assert await store.total(S) == 7
        page = await store.comments(S, after=0, before=9, descending=False, limit=9, from_ms=NOON_MS + 2, to_ms=NOON_MS + 6)
        assert [item.seq for item in page] == [2, 3, 4, 5]
    finally:
        await opened.close()


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    """What is no database says so and what to do, instead of a traceback."""
    path = tmp_path / "ovation.sqlite"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(Unavailable, match=r"damaged.*restore it"):
        await Database.open(path)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(Unavailable, match=r"store cannot be created: File exists"):
        await Database.open(tmp_path / "store" / "ovation.sqlite")


async def test_a_lock_held_too_long_is_named(database: Database) -> None:
    """Somebody else writes the file for longer than the patience of 0.2 s: told, nothing written, and then it works."""
    other = sqlite3.connect(database.path, isolation_level=None)
    store = SqliteComments(database)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="locked by another process"):
            await store.write([logged(comment(1), 1)], {LOG: 1})
        other.execute("ROLLBACK")
        await store.write([logged(comment(1), 1)], {LOG: 1})
    finally:
        other.close()

    assert await store.total(S) == 1


async def test_waiting_reads_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all readers are held and enough wait, the next read is refused at once; then it goes on."""
    monkeypatch.setattr(module, "MAX_WAITING", 8)
    gate = threading.Event()
    held = [asyncio.create_task(database.read(lambda _db: gate.wait())) for _ in range(8)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="8 reads are waiting"):
        await database.read(lambda db: db.execute("SELECT 1").fetchone())
    gate.set()
    await asyncio.gather(*held)

    assert await database.read(lambda db: db.execute("SELECT 1").fetchone()) == (1,)


async def test_reads_that_nobody_waits_for_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs: whoever gave up waiting has left a read, which counts until a thread has done with it."""
    monkeypatch.setattr(module, "MAX_WAITING", 8)
    gate = threading.Event()
    held = [asyncio.create_task(database.read(lambda _db: gate.wait())) for _ in range(8)]
    await asyncio.sleep(0)
    for task in held:
        task.cancel()
    await asyncio.wait(held)
    try:
        with pytest.raises(Unavailable, match="8 reads are waiting"):
            await asyncio.wait_for(database.read(lambda db: db.execute("SELECT 1").fetchone()), PATIENCE_S)
    finally:
        gate.set()

    async def reads() -> bool:
        with contextlib.suppress(Unavailable):
            return bool(await database.read(lambda db: db.execute("SELECT 1").fetchone()))
        return False

    await eventually(reads)


async def test_a_bug_is_not_called_unavailable(database: Database) -> None:
    """A wrong statement is ours to mend: it crashes, rolls back, and the next transaction works."""
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.write(lambda db: db.execute("INSERT INTO nowhere VALUES (1)"))
    await database.write(lambda db: db.execute("INSERT INTO archived VALUES ('x', 1)"))

    assert await SqliteComments(database).archived_through("x") == 1


async def test_no_question_walks_a_stream(database: Database) -> None:
    """Each question's plan is a search with all its terms, without a sort: a page never costs what the stream costs."""

    async def plan(question: str) -> list[str]:
        values = (0,) * question.count("?")
        rows = await database.query(f"EXPLAIN QUERY PLAN {question}", values)
        return [row[3] for row in rows]

    asked: list[str] = []
    original = comments._select  # noqa: SLF001 - to see the real statements

    def spy(db: sqlite3.Connection, *arguments: str | int, index: str = "") -> object:
        db.set_trace_callback(asked.append)
        try:
            return original(db, *arguments, index=index)  # type: ignore[arg-type]  # handed through as they came
        finally:
            db.set_trace_callback(None)

    store = SqliteComments(database)
    await store.write([logged(comment(1), 2)], {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comments, "_select", spy)
        await store.range(S, 1, 2, 3)
        await store.newest(S, 1, 2)
        await store.replies(S, "1", 0, 2)
        await store.comment(S, "1")
    plans = [await plan(statement) for statement in asked if "FROM items" in statement]
    assert [steps[0].removeprefix("SEARCH items USING ") for steps in plans] == [
        "PRIMARY KEY (no=? AND seq>? AND seq<?)",
        "PRIMARY KEY (no=? AND seq<?)",
        "INDEX items_by_parent (no=? AND parent_id=? AND seq>?)",
        "INDEX items_by_comment (no=? AND comment_id=?)",
    ]

    found, row = "SEARCH items USING COVERING INDEX items_comments (no=? AND seq>? AND seq<?)", "PRIMARY KEY (no=? AND seq=?)"
    for page in (*comments._PAGES.values(), *comments._TIMED.values()):  # noqa: SLF001 - the real statements
        plans.append(steps := await plan(page))
        assert found in steps, steps
        assert f"SEARCH items USING {row}" in steps, steps
    for page in comments._TIMED.values():  # noqa: SLF001 - the real statements
        assert (await plan(page)).count("SEARCH spans USING PRIMARY KEY (no=? AND width=? AND span>? AND span<?)") == 3
    assert not [steps for steps in plans if any("TEMP B-TREE" in step or "SCAN items" in step for step in steps)], plans


async def test_no_write_walks_a_stream(database: Database) -> None:
    """Nor does what a batch asks for each comment: without the index 27,000 rows a second become 80."""

    def plan(db: sqlite3.Connection, statement: str) -> str:
        values = (0,) * statement.count("?")
        return str(db.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()[0][3])

    for statement, search in (
        (batch._JUDGED, "items_by_comment (no=? AND comment_id=?)"),  # noqa: SLF001 - the real statement, as the others
        (batch._THEIRS, "items_by_user (no=? AND user_id=? AND seq<?)"),  # noqa: SLF001
        (batch._NEWEST, "PRIMARY KEY (no=?)"),  # noqa: SLF001
        (batch._KNOWN, "PRIMARY KEY (no=? AND seq=?)"),  # noqa: SLF001
        (batch._VERDICT, "PRIMARY KEY (no=? AND comment_id=?)"),  # noqa: SLF001
        (batch._PURGE, "PRIMARY KEY (no=? AND user_id=?)"),  # noqa: SLF001
    ):
        assert search in await database.read(lambda db, s=statement: plan(db, s))  # type: ignore[misc]  # a lambda has no types of its own


async def test_a_full_file_system(tmp_path: Path) -> None:
    """A real one of 2 MB: the refusal says what is full, what was acknowledged is there, and with room it goes on."""
    unshare = shutil.which("unshare")
    probe = [unshare or "", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", str(tmp_path)]
    if unshare is None or subprocess.run(probe, capture_output=True, check=False).returncode:  # noqa: ASYNC221 - before the test begins
        pytest.skip("this machine lets nobody mount a tmpfs; the contract's full disk is tested by SQLite's own limit")
    inside = [sys.executable, "-m", "tests.unit.infra.sqlite.full_disk", str(tmp_path)]
    run = await asyncio.create_subprocess_exec(*probe[:3], *inside, stdout=asyncio.subprocess.PIPE)
    out, _ = await run.communicate()
    told, counts, after = out.decode().splitlines()
    stored = int(counts.split()[0])

    assert re.fullmatch(rf"the disk that holds {re.escape(str(tmp_path))}/ovation.sqlite is full \(0.0 MiB free\);.*", told)
    assert stored > 100
    assert counts == f"{stored} {stored} {stored}"
    assert after == f"{stored + 100} {stored + 100}"


async def test_a_disk_that_fails_under_a_reader(tmp_path: Path) -> None:
    """A part of the file is lost: what reads it is refused and says why, and the process goes on; also once it is back."""
    inside = [sys.executable, "-m", "tests.unit.infra.sqlite.lost_pages", str(tmp_path)]
    run = await asyncio.create_subprocess_exec(*inside, stdout=asyncio.subprocess.PIPE)
    out, _ = await run.communicate()

    assert run.returncode == 0
    refusal, found = out.decode().splitlines()
    assert re.match(rf"{re.escape(str(tmp_path))}/ovation.sqlite is damaged: .*", refusal)
    assert found == "5000"
