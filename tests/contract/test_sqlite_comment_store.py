"""SQLite keeps the comment store's promises."""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from infra.sqlite import Database, SqliteComments, SqliteModeration, SqlitePeople
from infra.stores import CommentStore, LoggedItem, ModerationStore, PeopleStore
from tests.contract import rows
from tests.contract.comment_store import CommentStoreContract
from tests.contract.histories import END, LOG, S, answers, fill_disk, logged
from tests.contract.rows import Rows
from tests.factories import comment, removed


class SqliteBackend:
    """One file and all handles on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.databases: list[Database] = []

    async def open(self) -> CommentStore:
        """One more set of connections, as another process has."""
        self.databases.append(await Database.open(self.path))
        return SqliteComments(self.databases[-1])

    async def anew(self) -> CommentStore:
        """A handle on another file."""
        self.path = self.path.with_stem(f"{self.path.stem}-new")
        return await self.open()

    def people(self) -> PeopleStore:
        """What people said."""
        return SqlitePeople(self.databases[-1])

    def moderation(self) -> ModerationStore:
        """What was decided."""
        return SqliteModeration(self.databases[-1])

    async def rows(self) -> Rows:
        """All rows of all tables."""
        return await asyncio.to_thread(rows.of_file, self.path)

    async def kill_while_writing(self, items: Sequence[LoggedItem], through: int) -> None:
        """Run `killed_writer.py`, which stops inside its transaction, and kill it there."""
        await self._kill("before", items, through)

    async def kill_after_writing(self, items: Sequence[LoggedItem], through: int) -> None:
        """Run it until it has committed, and kill it there."""
        await self._kill("after", items, through)

    async def _kill(self, when: str, items: Sequence[LoggedItem], through: int) -> None:
        handed = self.path.with_suffix(".items")
        handed.write_bytes(msgspec.json.encode([list(items), through]))
        command = ("-m", "tests.contract.killed_writer", str(self.path), str(handed), when)
        writer = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
        assert writer.stdout is not None
        assert await writer.stdout.readline() == f"{when} commit\n".encode()
        writer.kill()
        assert await writer.wait() == -signal.SIGKILL

    async def fill(self) -> None:
        """Let the file grow by a few pages more; SQLite then says what it says when the disk is full."""
        await self.databases[0].write(_limit_to(200))

    async def free(self) -> None:
        """Let it grow again."""
        await self.databases[0].write(_limit_to(2**30))

    async def close(self) -> None:
        """Close all handles."""
        for database in self.databases:
            await database.close()


def _limit_to(pages: int) -> Callable[[sqlite3.Connection], object]:
    return lambda db: db.execute(f"PRAGMA max_page_count = {pages}")


class TestSqliteComments(CommentStoreContract):
    """The whole contract."""

    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[SqliteBackend]:
        """A file in a folder that does not exist yet."""
        backend = SqliteBackend(tmp_path / "store" / "ovation.sqlite")
        yield backend
        await backend.close()

    async def test_a_killed_writer_leaves_all_or_nothing(self, backend: SqliteBackend) -> None:
        """Beyond the contract: a kill -9 inside the transaction leaves nothing of it, the watermark included."""
        store = await backend.open()
        await store.write([logged(comment(1), 1)], {LOG: 1})
        before = await answers(store)
        await backend.kill_while_writing([logged(comment(n), n) for n in range(2, 400)] + [logged(removed(1), 400)], 400)

        assert await answers(store) == before
        assert await store.archived_through(LOG) == 1

    async def test_the_files_have_nothing_of_what_is_erased(self, backend: SqliteBackend) -> None:
        """Beyond the contract: once it is closed, no byte of it is left in any file, free room included."""
        store = await backend.open()
        await store.write([logged(comment(n, text=f"a-secret-{n}"), n) for n in range(1, 50)], {LOG: 49})
        await store.erase(S, [7], 2**42)
        await backend.close()
        backend.databases.clear()
        left = b"".join(path.read_bytes() for path in backend.path.parent.iterdir() if path.is_file())

        assert b"a-secret-8" in left
        assert b'a-secret-7"' not in left

    async def test_a_full_disk_is_told_and_loses_nothing(self, backend: SqliteBackend) -> None:
        """`Unavailable` says that the disk is full; reads go on; nothing is half-written; with room it goes on."""
        store = await backend.open()
        stored = await fill_disk(backend, store)
        assert await store.total(S) == stored
        assert await store.archived_through(LOG) == stored
        assert len(await store.range(S, 0, END, 100_000)) == stored

        await backend.free()
        await store.write([logged(comment(n), n) for n in range(stored + 1, stored + 11)], {LOG: stored + 10})
        assert await store.total(S) == stored + 10
