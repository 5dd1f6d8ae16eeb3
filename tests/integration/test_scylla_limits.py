"""What ScyllaDB refuses by default, and what would not be believed across regions: held on whatever CQL server there is."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from cassandra import ConsistencyLevel
from cassandra.cluster import Session

from infra.errors import Unavailable
from infra.scylla import Address, Database, ScyllaPeople, ScyllaStreams, bridge, migrate, migration, places
from infra.scylla.cluster import READ, WRITE, cluster_of
from infra.scylla.database import Found
from infra.scylla.schema import MIGRATIONS, Step
from schemas.items import Item
from tests.backends.cassandra import CqlServer
from tests.contract import rows
from tests.contract.histories import LOG, OTHER, S, logged, restored
from tests.contract.scylla_backend import ScyllaBackend, address_of, drop, emptied
from tests.contract.stream_store import record
from tests.factories import comment, removed

#: ScyllaDB: `restrict_future_timestamp`, and `max_clustering_key_restrictions_per_query`.
AHEAD_US = 3 * 86_400_000_000
NAMED = 100


@pytest.fixture
async def backend(keyspace: Address, tmp_path: Path) -> AsyncIterator[ScyllaBackend]:
    """A keyspace without rows."""
    async with emptied(keyspace, tmp_path) as backend:
        yield backend


async def test_nothing_is_written_ahead_of_the_clock(backend: ScyllaBackend) -> None:
    """A log of today: items, watermarks, records and what is erased have write times that no clock of a node is behind."""
    store, begun, now_ms = await backend.open(), int(time.time()) << 20, time.time_ns() // 1_000_000
    items = [logged(comment(n, author="ada"), begun + n, at_ms=now_ms, key=f"k{n}") for n in range(1, 9)]
    said: tuple[Item, ...] = (removed(2), removed(3), restored(3))
    decided = [logged(each, begun + n, at_ms=now_ms) for n, each in enumerate(said, 9)]
    await store.write([*items, *decided], {LOG: begun + 11})
    await store.erase(S, [begun + 4], items[3].at_ms)
    streams = ScyllaStreams(backend.databases[0])
    for n in range(1, 4):
        await streams.put(record(n), begun + n)
    await streams.remove(record(3).stream_id, begun + 9)
    await streams.put_reactions(S, {"like": 3})

    found = await asyncio.to_thread(rows.of_keyspace, backend.address)
    times = {table: _times(lines) for table, lines in found.items()}
    assert {"watermarks", "records", "listings", "items", "lookups", "decisions"} <= {name for name, at in times.items() if at}
    late = time.time_ns() // 1000 + AHEAD_US
    assert {table: max(at) for table, at in times.items() if max(at, default=0) > late} == {}
    assert await store.archived_through(LOG) == begun + 11


def _times(lines: list[str]) -> list[int]:
    return [int(each) for line in lines for each in re.findall(r"'writetime\(\w+\)': (\d+)", line)]


async def test_the_higher_number_stands(backend: ScyllaBackend) -> None:
    """Neighbours, too: write times are in the order of the numbers, and no two are equal."""
    store, begun = await backend.open(), int(time.time()) << 20
    streams = ScyllaStreams(backend.databases[0])
    for number in (2, 1, 5, 4, 3):
        await store.write([], {LOG: begun + number})
        await streams.put(record(1, title=f"{9 - number}"), begun + number)

    assert await store.archived_through(LOG) == begun + 5
    assert await streams.get(record(1).stream_id) == record(1, title="4")
    assert await streams.page(status="live", before=None, limit=9) == [record(1, title="4")]
    numbers = [1, 2, 2**40, begun, begun + 1, begun + 2**40, 2**31 << 20]
    assert all(one < other for one, other in pairwise(map(places.write_time, numbers)))


async def test_no_question_names_more_than_a_hundred(backend: ScyllaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thread and of a talkative person: what lies in one partition is asked for by parts, and all of it is found."""
    store, most = await backend.open(), 0
    said = [logged(comment(n, author="ada", parent="1"), n) for n in range(2, 252)]
    await store.write([logged(comment(1), 1), *said, *(logged(comment(n), n, stream_id=OTHER) for n in range(260, 263))], {})
    real = backend.databases[0].read

    async def read(statement: str, *values: object, paged: bool = True) -> list[Found]:
        nonlocal most
        most = max(most, *(len(each) for each in values if isinstance(each, list)), 0)
        return await real(statement, *values, paged=paged)

    monkeypatch.setattr(backend.databases[0], "read", read)
    assert [each.seq for each in await store.replies(S, "1", 0, 201)] == list(range(2, 203))
    theirs = await ScyllaPeople(backend.databases[0]).said_in(S, "ada", 10**6, 500)
    assert [each.seq for each in theirs] == list(range(251, 0, -1))
    await store.erase(S, range(1, 252), said[-1].at_ms)
    assert 1 < most <= NAMED


async def test_who_waits_for_the_cluster_is_bounded(backend: ScyllaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """More questions than slots and places to wait: the rest is refused at once, the others are answered, later ones too."""
    store = await backend.open()
    await store.write([logged(comment(1), 1)], {})
    assert await store.total(S) == 1
    monkeypatch.setattr(bridge, "MAX_WAITING", 10)
    asked = await asyncio.gather(*(store.total(S) for _ in range(2 * bridge.IN_FLIGHT)), return_exceptions=True)

    refused = [each for each in asked if isinstance(each, Unavailable)]
    assert len(refused) == bridge.IN_FLIGHT - 10
    assert "10 requests for the store are waiting" in str(refused[0])
    assert [each for each in asked if not isinstance(each, BaseException)] == [1] * (bridge.IN_FLIGHT + 10)
    assert await store.total(S) == 1


async def test_writes_wait_for_each_region(backend: ScyllaBackend) -> None:
    """Where several are named: what is archived is in all of them before any may believe so. Reads stay in one's own."""
    plain = cluster_of(backend.address)
    backend.address = msgspec.structs.replace(backend.address, regions={"eu": 3, "us": 3})
    both = cluster_of(backend.address)
    profiles = [each.profile_manager.profiles for each in (plain, both)]
    for each in (plain, both):
        each.shutdown()
    assert [each[WRITE].consistency_level for each in profiles] == [ConsistencyLevel.LOCAL_QUORUM, ConsistencyLevel.EACH_QUORUM]
    assert {each[READ].consistency_level for each in profiles} == {ConsistencyLevel.LOCAL_QUORUM}

    store = await backend.open()
    await store.write([logged(comment(1), 1)], {LOG: 1})
    assert (await store.total(S), await store.archived_through(LOG)) == (1, 1)


@pytest.fixture
def lapsing(cql_server: CqlServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """A keyspace in whose migration the lock is lost before its last statement."""
    address = address_of(cql_server, f"lapsed_{time.time_ns()}")
    assert asyncio.run(migrate(address)) == len(MIGRATIONS)

    def lost(session: Session, _address: Address) -> Iterator[None]:
        session.execute(f"UPDATE {address.keyspace}.locks SET owner = 'somebody else' WHERE name = 'store'")  # noqa: S608 - of ours
        yield

    later: tuple[Step, ...] = (lost, "CREATE TABLE {ks}.late (name text PRIMARY KEY)")
    monkeypatch.setattr(migration, "MIGRATIONS", (*MIGRATIONS, later))
    yield address
    drop(address)


def test_a_migration_that_lost_its_lock_stops(lapsing: Address) -> None:
    """Before its next statement, and its version is not written: whoever has the lock now is in the middle of the same."""
    with pytest.raises(Unavailable, match="somebody else has begun to migrate it"):
        asyncio.run(migrate(lapsing))
    asyncio.run(_still_as_before(lapsing))


async def _still_as_before(address: Address) -> None:
    database = await Database.open(address)
    question = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?"
    assert "late" not in {row.table_name for row in await database.read(question, address.keyspace)}
    await database.close()
