"""SQLite keeps the comment store's promises."""

import asyncio
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from infra.sqlite import Database, SqliteComments
from infra.stores import CommentStore, LoggedItem
from tests.contract.comment_store import CommentStoreContract


class SqliteBackend:
    """One file and all handles on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.databases: list[Database] = []

    async def open(self) -> CommentStore:
        """One more set of connections, as another process has."""
        self.databases.append(await Database.open(self.path))
        return SqliteComments(self.databases[-1])

    async def kill_while_writing(self, items: Sequence[LoggedItem], through: int) -> None:
        """Run `killed_writer.py`, which stops inside its transaction, and kill it there."""
        handed = self.path.with_suffix(".items")
        handed.write_bytes(msgspec.json.encode([list(items), through]))
        command = ("-m", "tests.contract.killed_writer", str(self.path), str(handed))
        writer = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
        assert writer.stdout is not None
        assert await writer.stdout.readline() == b"before commit\n"
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
