"""`ovation verify` while the stream goes on: no difference that is none, and no loss that is not said."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.sqlite import Database, SqliteComments
from infra.stores import StoredItem
from ovation import verdicts, verify
from ovation.verify import differences
from schemas.items import Purged
from schemas.streamid import new_stream_id
from tests.archives import LOG, Archive, archive, say
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.contract.histories import restored
from tests.factories import comment, removed
from tests.processes import Process
from tests.streams import new_stream
from tests.waits import eventually

pytestmark = pytest.mark.nats

SIZE = 20


class Meanwhile(SqliteComments):
    """The real store; before each part of a stream is read, something happens."""

    def __init__(self, database: Database, happens: Callable[[], Awaitable[None]]) -> None:
        super().__init__(database)
        self.happens = happens

    async def range(self, stream_id: str, after: int, until: int, limit: int) -> list[StoredItem]:
        """Read, after that."""
        await self.happens()
        return await super().range(stream_id, after, until, limit)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (verify, verdicts):
        monkeypatch.setattr(module, "BATCH", SIZE)


@asynccontextmanager
async def goes_on(b: Broker, stream_id: str) -> AsyncIterator[None]:
    """People post in the stream, and somebody in another one on the same log, for as long as this lasts."""

    async def post() -> None:
        other = fresh_stream()
        for n in range(10_000, 1_000_000):
            await say(b, stream_id, comment(n), f"{stream_id}:{n}")
            await say(b, other, comment(n), f"{other}:{n}")

    posting = asyncio.create_task(post())
    try:
        yield
    finally:
        posting.cancel()


async def posted(b: Broker, stream_id: str, count: int) -> list[int]:
    """The first comments of a stream; their seqs, ascending."""
    return sorted(await asyncio.gather(*(say(b, stream_id, comment(n), f"m{n}") for n in range(1, count + 1))))


async def archived(running: Archive, seq: int) -> None:
    """Wait until the store has everything up to *seq*."""

    async def done() -> bool:
        return await running.comments.archived_through(LOG) >= seq

    await eventually(done)


async def told(b: Broker, store: SqliteComments, stream_id: str) -> list[str]:
    """The differences."""
    return [line async for line in differences(b.reader, store, 0, stream_id)][:-1]


async def test_what_is_decided_meanwhile_is_no_difference(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Before each part is read, comments in it are removed, restored and purged, and archived: nothing differs."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        await posted(b, stream_id, 5 * SIZE)
        await say(b, stream_id, comment(500, author="bob"), "bob's")
        await running.caught_up()
        turn = 0

        async def moderate() -> None:
            nonlocal turn
            turn += 1
            # The same ones again and again: what is looked at once more has changed again as well.
            for n in range(3, 5 * SIZE, SIZE):
                await say(b, stream_id, removed(n) if turn % 2 else restored(n), f"{turn}:{n}")
                last = await say(b, stream_id, removed(n + turn % 7), f"{turn}:{n}:also")
            if turn == 2:
                last = await say(b, stream_id, Purged(user_id="bob"), "purge")
            await archived(running, last)

        async with goes_on(b, stream_id):
            assert await told(b, Meanwhile(running.database, moderate), stream_id) == []
            assert turn > 10


async def test_what_differs_is_said_while_it_goes_on(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """A row that is gone and a removal that the store does not show, among comments and removals: both, and nothing else."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        seqs = await posted(b, stream_id, 3 * SIZE)
        await say(b, stream_id, removed(SIZE), "remove")
        await running.caught_up()
        row = (await running.comments.comment(stream_id, str(SIZE))) or pytest.fail("not stored")
        await running.database.write(lambda db: db.execute("DELETE FROM items WHERE seq = ?", [seqs[-1]]))
        await running.database.write(lambda db: db.execute("UPDATE items SET removed = NULL WHERE seq = ?", [row.seq]))
        n = 0

        async def moderate() -> None:
            nonlocal n
            n += 1
            if n < SIZE:
                await archived(running, await say(b, stream_id, removed(n), f"remove {n}"))

        async with goes_on(b, stream_id):
            lines = await told(b, Meanwhile(running.database, moderate), stream_id)
        assert [line.partition(":")[0] for line in lines] == [str(row.seq), str(seqs[-1])]
        assert "moderator by the log" in lines[0]
        assert "in the log and not in the store" in lines[1]


async def test_what_grows_old_meanwhile_is_no_difference(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The log forgets its oldest between the beginning and a part's reading: its rows are no inventions."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        seqs = await posted(b, stream_id, 5 * SIZE)
        await running.caught_up()
        forgotten = iter([seqs[SIZE // 2], seqs[2 * SIZE], seqs[3 * SIZE + 3]])

        async def forget() -> None:
            if seq := next(forgotten, 0):
                await b.connection.request("$JS.API.STREAM.PURGE.LIVE_0", b'{"seq": %d}' % seq)

        async with goes_on(b, stream_id):
            assert await told(b, Meanwhile(running.database, forget), stream_id) == []
        assert next(forgotten, None) is None


async def test_what_is_erased_before_its_removal_is_archived_is_no_difference(
    own_nats_server: NatsServer, tmp_path: Path
) -> None:
    """The archive waits; a comment is removed and its text erased from the log: its row, still shown, is no invention."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        seqs = [await say(b, stream_id, comment(n), f"m{n}") for n in range(1, 5)]
        await running.caught_up()
        running.comments.gate.clear()
        await say(b, stream_id, removed(2), "remove")
        await b.connection.request("$JS.API.STREAM.MSG.DELETE.LIVE_0", b'{"seq": %d}' % seqs[1])
        assert await told(b, running.comments, stream_id) == []
        await b.connection.request("$JS.API.STREAM.MSG.DELETE.LIVE_0", b'{"seq": %d}' % seqs[2])
        [line] = await told(b, running.comments, stream_id)
        assert "in the store and not in the log" in line


async def test_more_decisions_than_are_remembered_are_said(
    own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told that verdicts agree which were not compared."""
    monkeypatch.setattr(verdicts, "MOST", 3)
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        await posted(b, stream_id, 10)
        for n in range(1, 6):
            await say(b, stream_id, removed(n), f"remove {n}")
        await running.caught_up()
        [line] = await told(b, running.comments, stream_id)
        assert line.startswith("verdicts are not compared")


async def test_a_loss_is_said_with_its_range(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The archive stands still and the log forgets: the range is said, `ovation verify` ends with 1, posts go on meanwhile.

    A stream that is younger than all of that has lost nothing, nor has a log that was never archived and has everything.
    """
    async with broker(own_nats_server.url) as b:
        stream_id = new_stream_id(b.clock.now_ms())
        seqs = await posted(b, stream_id, SIZE)
        path = tmp_path / "ovation.sqlite"
        database = await Database.open(path)
        assert await told(b, SqliteComments(database), stream_id) == []
        await database.close()
        async with archive(b, path) as running:
            await running.caught_up()
        more = sorted(await asyncio.gather(*(say(b, stream_id, comment(n), f"m{n}") for n in range(100, 100 + SIZE))))
        async with goes_on(b, stream_id):
            await b.connection.request("$JS.API.STREAM.PURGE.LIVE_0", b'{"seq": %d}' % more[-1])
            database = await Database.open(path)
            try:
                [line] = await told(b, SqliteComments(database), stream_id)
                assert line.startswith(f"{seqs[-1] + 1} to {more[-1] - 1}: the log has forgotten these")
                younger = new_stream_id(b.clock.now_ms() + 2 * verify.SKEW_MS)
                assert await told(b, SqliteComments(database), younger) == []
            finally:
                await database.close()
            await new_stream(b, stream_id)
            where = {"nats_url": own_nats_server.url, "data_dir": tmp_path, "store_url": f"sqlite:///{path}"}
            process = Process("verify", stream_id, log=tmp_path / "verify.log", **where).start_plain()
            assert await asyncio.to_thread(process.wait) == 1
            assert line in process.text
