"""The bare drivers, as somebody would use them who only wants the rows written: what the stores are measured against."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cassandra.concurrent import execute_concurrent
from cassandra.query import BatchStatement, BatchType, Statement

from infra.scylla import Database
from infra.scylla.cluster import cluster_of
from infra.scylla.database import WRITERS
from infra.scylla.facts import Rows
from infra.scylla.groups import BATCH_ROWS, Row, batched
from infra.sqlite.database import WRITER_CACHE_KIB
from infra.sqlite.schema import MIGRATIONS
from infra.stores import LoggedItem
from schemas.items import Comment

Grouping = Callable[[Sequence[Row]], Iterable[list[Row]]]
_INSERT = "INSERT INTO items (no, seq, at_ms, payload, msg_id, comment_id, parent_id, user_id) VALUES (?,?,?,?,?,?,?,?)"


def as_the_store(rows: Sequence[Row]) -> Iterable[list[Row]]:
    """The store's own batches."""
    return batched(rows)


def one_partition(rows: Sequence[Row]) -> Iterable[list[Row]]:
    """Batches of one partition each, of as many rows as the store's."""
    grouped: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        grouped.setdefault((row.statement.query_id, *row.partition), []).append(row)
    return [theirs[at : at + BATCH_ROWS] for theirs in grouped.values() for at in range(0, len(theirs), BATCH_ROWS)]


def one_by_one(rows: Sequence[Row]) -> Iterable[list[Row]]:
    """No batches."""
    return [[row] for row in rows]


class CqlDriver:
    """Items and their lookups through `execute_concurrent`, as many requests at once as the store has; nothing is counted."""

    def __init__(self, database: Database) -> None:
        """*database* says which rows they are; the connection is another one."""
        self._rows = Rows(database)
        self._cluster = cluster_of(database.address)
        self._session = self._cluster.connect()

    async def write(self, work: Sequence[LoggedItem], batch: int, grouping: Grouping) -> float:
        """Seconds for *work*: each *batch* comments are waited for, as the archive commits them."""
        prepared = [await self._of(work[at : at + batch]) for at in range(0, len(work), batch)]
        return await asyncio.to_thread(self._write, prepared, grouping)

    async def _of(self, some: Sequence[LoggedItem]) -> list[Row]:
        return [row for item in some for row in await self._rows.lookups(item)] + await self._rows.items(some)

    def _write(self, prepared: Sequence[Sequence[Row]], grouping: Grouping) -> float:
        began = time.perf_counter()
        for rows in prepared:
            execute_concurrent(self._session, [(_statement(group), None) for group in grouping(rows)], concurrency=WRITERS)
        return time.perf_counter() - began

    def close(self) -> None:
        """Leave."""
        self._cluster.shutdown()


def _statement(group: Sequence[Row]) -> Statement:
    if len(group) == 1:
        return group[0].statement.bind(group[0].values)
    statement = BatchStatement(BatchType.UNLOGGED)
    for row in group:
        statement.add(row.statement, row.values)
    return statement


class SqliteDriver:
    """The same rows by `executemany` in one thread, a commit a batch: the store's table, indexes and PRAGMAs, no triggers."""

    def __init__(self, path: Path) -> None:
        """A new file."""
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
        for statement in (each for migration in MIGRATIONS for each in migration):
            if "TRIGGER" not in statement:
                self._db.execute(statement)

    async def write(self, work: Sequence[LoggedItem], batch: int) -> float:
        """Seconds for *work*."""
        return await asyncio.to_thread(self._write, work, batch)

    def _write(self, work: Sequence[LoggedItem], batch: int) -> float:
        began = time.perf_counter()
        for at in range(0, len(work), batch):
            self._db.execute("BEGIN")
            self._db.executemany(_INSERT, [_values(item) for item in work[at : at + batch]])
            self._db.execute("COMMIT")
        return time.perf_counter() - began

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _values(item: LoggedItem) -> tuple[object, ...]:
    own: tuple[str | None, ...] = (None, None, None)
    if isinstance(item.item, Comment):
        own = (item.item.comment_id, item.item.parent_comment_id, item.item.user.id)
    return (int(item.stream_id[-2:], 16), item.seq, item.at_ms, item.payload, item.msg_id, *own)
