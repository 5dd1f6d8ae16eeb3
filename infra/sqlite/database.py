"""The file: one thread that writes, a few that read, each with a connection of its own.

`synchronous=FULL`: a commit is on the disk before the archive acknowledges it to the log, which then never offers it
again. NORMAL would give back everything since the last checkpoint after a power loss. FULL costs nothing at 500 rows a
commit (27k rows/s either way) and 0.15 ms at one row a commit (4.5k against 14k commits/s).
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from infra.errors import StoreTooNew, Unavailable
from infra.sqlite.failures import translated
from infra.sqlite.schema import MIGRATIONS

T = TypeVar("T")

READERS = 4
#: Reads that may wait for a thread; the next one is refused. At 1 ms a page these are a quarter of a second.
MAX_WAITING = 1000
BUSY_S = 5.0
WRITER_CACHE_KIB = 64 * 1024
READER_CACHE_KIB = 16 * 1024
#: A WAL that a long read let grow is cut back to this at the next checkpoint.
WAL_BYTES = 64 * 1024**2


class Database:
    """An open SQLite file. `read` and `write` run a function on a thread; the event loop never waits for the disk."""

    def __init__(self, path: Path, busy_s: float = BUSY_S, readers: int = READERS) -> None:
        """Nothing is opened yet: use `open`."""
        self.path = path
        self._busy_s = busy_s
        self._writing = ThreadPoolExecutor(1, "sqlite-write")
        self._reading = ThreadPoolExecutor(readers, "sqlite-read")
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._waiting = 0

    @classmethod
    async def open(cls, path: Path, *, busy_s: float = BUSY_S, readers: int = READERS) -> Self:
        """Open *path*, creating folder, file and schema when they are not there, and migrating an older file.

        *busy_s* is how long a lock held by another process is waited for.

        Raises:
            Unavailable: the file cannot be created, opened or migrated now.
            StoreTooNew: a newer version wrote it.
        """
        database = cls(path, busy_s, readers)
        try:
            await asyncio.get_running_loop().run_in_executor(database._writing, database._prepare)
        except BaseException:
            await database.close()
            raise
        return database

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run *work* in one read transaction: it sees every commit that ended before, and nothing half-written.

        Raises:
            Unavailable: the file cannot be read now, or more than `MAX_WAITING` reads wait already.
        """
        return await self._run(lambda: self._transact(work, "BEGIN"))

    async def query(self, question: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """The rows of one SELECT, which is a transaction of its own.

        A thread that shares the interpreter with a busy loop waits for it at every statement: without BEGIN and COMMIT a
        small question is answered in a third of the time.

        Raises:
            Unavailable: as `read`.
        """

        def work() -> list[tuple[Any, ...]]:
            with translated(self.path):
                return self._connection(read_only=True).execute(question, values).fetchall()

        return await self._run(work)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run *work* in one write transaction: all of it is on the disk when this returns, or none of it ever.

        A caller that is cancelled does not know which.

        Raises:
            Unavailable: the disk is full or fails, or another process held the lock for too long; nothing was written.
        """
        return await asyncio.get_running_loop().run_in_executor(self._writing, self._transact, work, "BEGIN IMMEDIATE")

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            msg = f"{self.path} is read more than this machine can: {self._waiting} reads are waiting"
            raise Unavailable(msg)
        self._waiting += 1
        asked = asyncio.get_running_loop().run_in_executor(self._reading, work)
        asked.add_done_callback(self._ended)
        # Shielded: who gives up waiting leaves a thread that is busy, or a place in its queue that is taken.
        return await asyncio.shield(asked)

    def _ended(self, asked: "asyncio.Future[Any]") -> None:
        self._waiting -= 1
        if not asked.cancelled():
            # Told to whoever waits still.
            asked.exception()

    async def close(self) -> None:
        """Wait for what runs, then close; the last one to close folds the WAL into the file."""
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._writing.shutdown()
        self._reading.shutdown()
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def _transact(self, work: Callable[[sqlite3.Connection], T], begin: str) -> T:
        with translated(self.path):
            connection = self._connection(read_only=begin == "BEGIN")
            connection.execute(begin)
            try:
                result = work(connection)
                connection.execute("COMMIT")
            finally:
                # A full disk may have rolled back by itself; anything else that failed has not.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            return result

    def _connection(self, *, read_only: bool) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if found is None:
            found = self._own.connection = self._connect()
            found.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB if read_only else WRITER_CACHE_KIB}")
            # Some builds map the file: a disk that fails under what is mapped ends the process, where a read is an error.
            found.execute("PRAGMA mmap_size = 0")
            found.execute(f"PRAGMA query_only = {int(read_only)}")
        return found

    def _connect(self) -> sqlite3.Connection:
        # Autocommit: transactions begin where this file says so. Closed from another thread, after their own has ended.
        connection = sqlite3.connect(
            self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        with self._lock:
            self._connections.append(connection)
        connection.execute("PRAGMA synchronous = FULL")
        # What is erased leaves no bytes in free room, nor do pages that were split before; some builds have it off.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        return connection

    def _prepare(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            msg = f"{self.path.parent} cannot be created: {error.strerror}"
            raise Unavailable(msg, 5) from error
        with translated(self.path):
            connection = self._connection(read_only=False)
            self._enter_wal(connection)
            self._migrate(connection)

    def _enter_wal(self, connection: sqlite3.Connection) -> None:
        # Two processes that both turn a new file into WAL: one gets BUSY at once, whatever the busy timeout says.
        deadline = time.monotonic() + self._busy_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) == len(MIGRATIONS):
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Read again under the lock: another process may have been first.
            for number in range(self._version(connection), len(MIGRATIONS)):
                for statement in MIGRATIONS[number]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _version(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            msg = (
                f"{self.path} has format {version}, this version reads up to {len(MIGRATIONS)}: "
                "run the version that wrote it, or use another OVATION_DATA_DIR"
            )
            raise StoreTooNew(msg)
        return version
