"""What the stores on a cluster promise beyond the contract: kills anywhere, a cluster that goes away."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from infra.errors import StoreTooNew, Unavailable
from infra.scylla import Address, Database, ScyllaComments, migrate, places, tallies
from infra.scylla.bridge import IN_FLIGHT
from infra.scylla.cluster import cluster_of
from infra.scylla.database import Found
from infra.scylla.schema import MIGRATIONS
from infra.stores import CommentStore
from tests.backends.cassandra import CqlServer
from tests.contract.histories import END, LOG, OTHER, S, answers, everything, logged, random_item, replayed
from tests.contract.scylla_backend import ScyllaBackend, address_of, drop, emptied
from tests.factories import NOON_MS, comment, removed
from tests.faults import FaultProxy
from tests.waits import eventually

HOUR_US = 3_600_000_000


@pytest.fixture
async def backend(keyspace: Address, tmp_path: Path) -> AsyncIterator[ScyllaBackend]:
    """A keyspace without rows."""
    async with emptied(keyspace, tmp_path) as backend:
        yield backend


@pytest.mark.parametrize("after", [0, 12, 25])
async def test_a_writer_killed_anywhere_leaves_its_batch_to_the_next(backend: ScyllaBackend, after: int) -> None:
    """Before its first statement, among the lookups, among the rows: written again, it is as if nothing had happened."""
    chance = random.Random(after)
    history = [logged(random_item(chance, seq), seq, key=f"k{seq}") for seq in range(1, 201)]
    store = await backend.open()
    await store.write(history[:20], {LOG: 20})
    await backend.kill_while_writing(history[20:], 200, after)

    assert await store.archived_through(LOG) == 20
    await store.write(history[20:], {LOG: 200})
    found = await store.comments(S, after=0, before=2**53, descending=False, limit=500)
    assert [(item.seq, item.removed) for item in found] == replayed(history)
    assert await store.total(S) == sum(reason is None for _, reason in replayed(history))


async def test_two_writers_of_one_stream_count_it_exactly(backend: ScyllaBackend) -> None:
    """Archives that share a log: their batches interleave within one block, with removals of each other's comments."""
    one, two = await backend.open(), await backend.open()
    for start in range(0, 400, 20):
        numbers = range(start + 1, start + 21)
        mine = [logged(comment(n), n) for n in numbers if n % 2]
        theirs = [logged(comment(n), n) for n in numbers if n % 2 == 0]
        theirs += [logged(removed(n), 1000 + n) for n in numbers if n % 5 == 0 and n % 2]
        await asyncio.gather(one.write(mine, {}), two.write(theirs, {}))
        shown = len([n for n in range(1, start + 21) if n % 5 or n % 2 == 0])
        assert await one.total(S) == shown


async def pages_of(store: CommentStore) -> list[list[int]]:
    """The seqs of all comments by cursor, of those after a hundred by offset, and of those of one second: both ways."""
    found = []
    for asked in ({}, {"offset": 100}, {"from_ms": NOON_MS + 100, "to_ms": NOON_MS + 1000}):
        for down in (False, True):
            page = await store.comments(S, after=0, before=END, descending=down, limit=1000, **asked)
            found.append([item.seq for item in page][:: -1 if down else 1])
    return found


def pages_wanted(seqs: Sequence[int]) -> list[list[int]]:
    """What they are where these are all."""
    timed = [seq for seq in seqs if 100 <= seq < 1000]
    return [[*seqs], [*seqs], [*seqs[100:]], [*seqs[:-100]], timed, timed]


async def test_a_clock_that_was_ahead_hides_nothing(backend: ScyllaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive whose clock is an hour ahead counts a block and dies: what others store there is in every page and total."""
    ahead, other = await backend.open(), await backend.open()
    with monkeypatch.context() as patched:
        patched.setattr(tallies, "clock_us", lambda: time.time_ns() // 1000 + HOUR_US)
        await ahead.write([logged(removed(1), 1)], {})
    await other.write([logged(comment(n), n) for n in range(2, 302)], {})
    await other.write([logged(comment(n), n) for n in range(302, 702)], {})

    assert await pages_of(other) == pages_wanted(range(2, 702))
    assert (await other.total(S), await other.total(S, 600)) == (700, 599)
    assert await other.tail(S) == 701


async def test_a_count_that_missed_something_hides_nothing(backend: ScyllaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """It began before others stored comments there, and is written after, by a clock ahead: all pages have them, at once."""
    ahead, other = await backend.open(), await backend.open()
    real = backend.databases[0].read
    reached, go = asyncio.Event(), asyncio.Event()

    async def read(statement: str, *values: object, paged: bool = True) -> list[Found]:
        if "AS counted_us" in statement and ".tallies" in statement:
            reached.set()
            await go.wait()
        rows = await real(statement, *values, paged=paged)
        if statement.startswith("SELECT seq, at_ms, comment_id, decided, ttl(at_ms)"):
            reached.set()
            await go.wait()
        return rows

    monkeypatch.setattr(backend.databases[0], "read", read)
    with monkeypatch.context() as patched:
        patched.setattr(tallies, "clock_us", lambda: time.time_ns() // 1000 + HOUR_US)
        writing = asyncio.create_task(ahead.write([logged(removed(1), 1)], {}))
        await reached.wait()
    await other.write([logged(comment(n), n) for n in range(2, 302)], {})
    assert await pages_of(other) == pages_wanted(range(2, 302))
    reached, before = asyncio.Event(), go
    go = asyncio.Event()
    before.set()
    await reached.wait()
    # What it missed stands now.
    assert await pages_of(other) == pages_wanted(range(2, 302))
    go.set()
    await writing
    assert await pages_of(other) == pages_wanted(range(2, 302))
    assert await other.total(S, 400) == 300


async def test_a_sweep_counts_some_blocks_at_a_time(backend: ScyllaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removals all over a long stream touch each of its blocks: a node is never asked for more than it can answer in time."""
    store = await backend.open()
    seqs = [number * places.BLOCK for number in range(1, 101)]
    real = backend.databases[0].read
    under_way = most = 0

    async def read(statement: str, *values: object, paged: bool = True) -> list[Found]:
        nonlocal under_way, most
        counts = "FROM {ks}.items" in statement
        under_way += counts
        most = max(most, under_way)
        try:
            return await real(statement, *values, paged=paged)
        finally:
            under_way -= counts

    monkeypatch.setattr(backend.databases[0], "read", read)
    await store.write([logged(comment(seq), seq) for seq in seqs], {})
    assert await store.total(S) == 100
    await store.write([logged(removed(seq), 60_000 + seq) for seq in seqs], {})
    assert await store.total(S) == 0
    assert 1 < most <= tallies.AT_ONCE


async def test_a_cluster_that_goes_away_is_told_and_comes_back(backend: ScyllaBackend) -> None:
    """`Unavailable`, soon, for reads and writes; once the cluster answers again the same write is taken, nothing is lost."""
    async with FaultProxy.before(backend.address.port) as proxy:
        backend.address = msgspec.structs.replace(backend.address, port=proxy.port)
        store = await backend.open()
        await store.write([logged(comment(1), 1)], {LOG: 1})
        proxy.cut()
        began = time.monotonic()
        with pytest.raises(Unavailable, match="is away"):
            await store.write([logged(comment(2), 2)], {LOG: 2})
        with pytest.raises(Unavailable):
            await store.total(S)
        assert time.monotonic() - began < 30
        proxy.heal()

        async def written() -> bool:
            try:
                await store.write([logged(comment(2), 2)], {LOG: 2})
            except Unavailable:
                return False
            return True

        await eventually(written)
        assert (await store.total(S), await store.archived_through(LOG)) == (2, 2)


async def test_a_cluster_that_hangs_is_told(backend: ScyllaBackend) -> None:
    """Nothing answers and nothing is refused: a read ends as `Unavailable` after its 3 s, and when it thaws all goes on."""
    async with FaultProxy.before(backend.address.port) as proxy:
        backend.address = msgspec.structs.replace(backend.address, port=proxy.port)
        store = await backend.open()
        await store.write([logged(comment(1), 1)], {LOG: 1})
        proxy.hush()
        with pytest.raises(Unavailable):
            await store.total(S)
        proxy.heal()

        async def answered() -> bool:
            try:
                return await store.total(S) == 1
            except Unavailable:
                return False

        await eventually(answered)


async def test_readers_that_leave_hold_no_slots(backend: ScyllaBackend) -> None:
    """Twice as many as there are slots ask and leave at once; those that come later are answered."""
    store = await backend.open()
    await store.write([logged(comment(1), 1)], {})
    # So that those who leave are beyond the preparing of their question.
    assert await store.total(S) == 1
    for _ in range(2):
        asking = [asyncio.create_task(store.total(S)) for _ in range(2 * IN_FLIGHT)]
        await asyncio.sleep(0)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    assert await asyncio.gather(*(store.total(S) for _ in range(2 * IN_FLIGHT))) == [1] * 2 * IN_FLIGHT


async def test_what_is_archived_ends_when_told(backend: ScyllaBackend) -> None:
    """Rows live as long as the setting says, decisions twice as long, and for ever without one."""
    for days in (1, 0):
        backend.address = msgspec.structs.replace(backend.address, ttl_s=days * 86_400)
        store = await backend.open()
        stream_id = (S, OTHER)[days]
        items = [logged(comment(1), 1, stream_id=stream_id), logged(removed(1), 2, stream_id=stream_id)]
        await store.write(items, {})
    database = backend.databases[0]
    rows = await database.read("SELECT stream_id, seq, ttl(payload) AS left FROM {ks}.items")
    decisions = await database.read("SELECT stream_id, ttl(kind) AS left FROM {ks}.decisions")

    assert {(row.stream_id, row.left is not None and 86_000 < row.left <= 86_400) for row in rows} == {
        (S, False),
        (OTHER, True),
    }
    assert {row.stream_id: row.left and row.left > 2 * 86_000 for row in decisions} == {S: None, OTHER: True}


async def test_tables_that_pages_ask_bound_what_a_dead_replica_costs(keyspace: Address) -> None:
    """The database's own bound is seconds for a table that was not read lately, and a page asks three one after the other."""
    database = await Database.open(keyspace)
    try:
        question = "SELECT table_name, speculative_retry FROM system_schema.tables WHERE keyspace_name = ?"
        waits = {row.table_name: row.speculative_retry for row in await database.read(question, keyspace.keyspace)}
    finally:
        await database.close()
    asked = ("watermarks", "buckets", "tallies", "items", "lookups", "decisions", "records")
    # One database writes `50ms`, the other `50.00ms`.
    assert {table: float(waits[table].removesuffix("ms")) for table in asked} == dict.fromkeys(asked, 50.0)


async def test_migrations_are_applied_once(cql_server: CqlServer) -> None:
    """Four at once on a keyspace that is not there: one creates it all, the others find it done; a process finds its tables."""
    address = address_of(cql_server, f"migrated_{time.time_ns()}")
    with pytest.raises(Unavailable, match="run `ovation migrate`"):
        await Database.open(address)
    plain = msgspec.structs.replace(address, create_keyspace=False)
    with pytest.raises(Unavailable, match="CREATE KEYSPACE"):
        await migrate(plain)
    try:
        assert sum(await asyncio.gather(*(migrate(address) for _ in range(4)))) == len(MIGRATIONS)
        database = await Database.open(plain)
        assert await ScyllaComments(database).total(S) == 0
        await database.close()
        await asyncio.to_thread(_set_version, address, 99)
        with pytest.raises(StoreTooNew, match="has format 99"):
            await Database.open(address)
        with pytest.raises(StoreTooNew):
            await migrate(address)
    finally:
        await asyncio.to_thread(drop, address)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"hosts": ("no-such-host.invalid",)}, "no address is known of no-such-host.invalid: check OVATION_STORE_URL"),
        ({"port": 1}, "Connection refused: see that a node runs there, or correct OVATION_STORE_URL"),
        ({"dc": "elsewhere"}, r"has no data center elsewhere, but \w+: correct dc= in OVATION_STORE_URL"),
    ],
)
async def test_a_wrong_address_is_told(cql_server: CqlServer, wrong: dict[str, object], told: str) -> None:
    """Whoever opens or migrates hears what is wrong and which setting to change; it may be right later, so all may wait."""
    address = msgspec.structs.replace(address_of(cql_server, "any"), **wrong)
    with pytest.raises(Unavailable, match=told):
        await Database.open(address)
    with pytest.raises(Unavailable, match=told):
        await migrate(address)


def _set_version(address: Address, version: int) -> None:
    cluster = cluster_of(address)
    try:
        statement = f"INSERT INTO {address.keyspace}.migrations (name, version) VALUES ('store', %s)"  # noqa: S608 - a name of ours
        cluster.connect().execute(statement, (version,))
    finally:
        cluster.shutdown()


async def test_a_store_reads_while_it_is_written_by_another(backend: ScyllaBackend) -> None:
    """Readers see whole rows and, once a write was acknowledged, all of it: never a comment without what was decided on it."""
    writer, reader = await backend.open(), await backend.open()
    await writer.write([logged(removed(n), 1000 + n) for n in range(1, 101)], {})
    writing = asyncio.create_task(writer.write([logged(comment(n), n) for n in range(1, 101)], {}))
    while not writing.done():
        for item in await reader.range(S, 0, 500, 500):
            assert item.removed == "moderator"
    await writing
    assert await answers(reader) == await answers(writer)
    assert await everything(reader) == [(n, "moderator") for n in range(1, 101)]
