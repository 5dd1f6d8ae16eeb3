"""Stores with long shows in them, filled through the stores themselves.

Kept in a folder, since a million comments take minutes.
"""

import asyncio
import itertools
import signal
import time
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from bench.evenings import LOG, Show
from infra.errors import Unavailable
from infra.scylla import Address, ScyllaComments, migrate
from infra.scylla import Database as Keyspace
from infra.sqlite import Database as File
from infra.sqlite import SqliteComments
from infra.stores import CommentStore, LoggedItem
from tests.backends.cassandranode import CassandraNode

LARGE = "018bcfe5-6800-7bb6-bc13-d949c5118c01"
SMALL = "018bcfe5-6800-7bb6-bc13-d949c5118c02"
#: Items of one write: a loader's, not an archive's. Larger ones fill a partition's batches.
BATCH = 5000
TRIES = 10
KEYSPACE = "bench_pages"


class Shelf:
    """The shows of one folder, as one store after the other is filled with them."""

    def __init__(self, folder: Path, comments: int) -> None:
        """*folder* may hold the stores of an earlier run of as many *comments*."""
        self.folder = folder
        self.comments = comments
        folder.mkdir(parents=True, exist_ok=True)
        ended = folder / "ended_ms"
        if not ended.exists():
            ended.write_text(str(time.time_ns() // 1_000_000 - 3_600_000))
        self._ended_ms = int(ended.read_text())
        self.shows: dict[str, Show] = {}

    def _fresh(self) -> dict[str, Show]:
        return {
            "large": Show(LARGE, self.comments, self._ended_ms),
            "small": Show(SMALL, 1000, self._ended_ms, first_seq=1 + 40 * 2**20),
        }

    async def fill(self, name: str, store: CommentStore) -> None:
        """Put the shows into *store*, or what an earlier run left of them; `shows` knows their comments then.

        Raises:
            Unavailable: it did not take a batch in `TRIES` tries; the next run goes on there.
        """
        done, so_far = self.folder / f"{name}.done", self.folder / f"{name}.written"
        there = int(so_far.read_text()) if so_far.exists() else 0
        self.shows, began, written = self._fresh(), time.monotonic(), 0
        for which, show in self.shows.items():
            if done.exists() and self._known(which, show):
                continue
            items = show.told()
            while batch := list(itertools.islice(items, BATCH)):
                written += len(batch)
                if not done.exists() and written > there:
                    await _write(store, batch)
                    so_far.write_text(str(written))
                if written % (BATCH * 20) == 0:
                    print(f"{name}: {written:,} items, {written / (time.monotonic() - began):,.0f}/s", flush=True)
            with (self.folder / f"{which}.comments").open("wb") as file:
                array("q", show.seqs).tofile(file)
                array("q", show.times).tofile(file)
        done.touch()

    def _known(self, which: str, show: Show) -> bool:
        """Whether an earlier run has left where its comments are."""
        path = self.folder / f"{which}.comments"
        if not path.exists():
            return False
        numbers = array("q")
        numbers.frombytes(path.read_bytes())
        show.seqs, show.times = list(numbers[: show.comments]), list(numbers[show.comments :])
        return True

    @asynccontextmanager
    async def _filled(
        self, name: str, store: CommentStore, close: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[CommentStore]:
        try:
            await self.fill(name, store)
            yield store
        finally:
            await close()

    @asynccontextmanager
    async def sqlite(self) -> AsyncIterator[tuple[CommentStore, str]]:
        """The file, filled, and its URL."""
        path = self.folder / "pages.sqlite"
        file = await File.open(path)
        async with self._filled("sqlite", SqliteComments(file), file.close) as store:
            yield store, f"sqlite:///{path}"

    @asynccontextmanager
    async def cql(self) -> AsyncIterator[tuple[CommentStore, str]]:
        """A Cassandra of this run on the folder's data, filled, and its URL."""
        node = CassandraNode(self.folder / "node")
        await asyncio.to_thread(node.start)
        try:
            address = Address(hosts=(node.host,), port=node.port, keyspace=KEYSPACE, create_keyspace=True, replication=1)
            await migrate(address)
            database = await Keyspace.open(address)
            async with self._filled("cql", ScyllaComments(database), database.close) as store:
                yield store, f"scylla://{node.host}:{node.port}/{KEYSPACE}?replication=1"
        finally:
            # `kill` would take the data with it.
            if node.process is not None:
                node.process.send_signal(signal.SIGTERM)
                await asyncio.to_thread(node.process.wait)


async def _write(store: CommentStore, batch: list[LoggedItem]) -> None:
    """Write *batch*; a node that compacts a million rows on two cores answers late now and then."""
    for left in reversed(range(TRIES)):
        try:
            await store.write(batch, {LOG: batch[-1].seq})
        except Unavailable as error:
            if not left:
                raise
            print(f"again: {error}", flush=True)
        else:
            return


#: Opens one: the store, and what OVATION_STORE_URL says of it.
Open = Callable[[Shelf], AbstractAsyncContextManager[tuple[CommentStore, str]]]
STORES: dict[str, Open] = {
    "SQLite": Shelf.sqlite,
    "CQL": Shelf.cql,
}
