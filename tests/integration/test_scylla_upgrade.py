"""A keyspace of the first format, migrated by this version: what is in it is read as before, and by the new tables."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from cassandra.cluster import Session

from infra.errors import Unavailable
from infra.scylla import Address, Database, ScyllaComments, ScyllaModeration, ScyllaPeople, ScyllaStreams, migrate, places
from infra.scylla.cluster import cluster_of
from infra.scylla.facts import event_us
from infra.scylla.schema import BOOTSTRAP, MIGRATIONS
from infra.stores import LoggedItem, decision_of
from schemas import codec
from schemas.items import Comment, Purged, Removed, Restored
from tests.backends.cassandra import CqlServer
from tests.contract.histories import END, LOG, OTHER, S, everything, logged, restored
from tests.contract.scylla_backend import address_of, drop
from tests.contract.stream_store import record
from tests.factories import comment, removed

#: A log of today begins here.
BEGUN = int(time.time()) << 20
MONTH = places.month_of(record(1).stream_id)
ITEMS = [
    *(logged(comment(n, author=("ada", "bob")[n % 2]), n, key=f"k{n}") for n in range(1, 6)),
    logged(removed(2), 6),
    logged(removed(4), 7),
    logged(restored(4), 8),
    logged(Purged(user_id="bob", reason="creator"), 9),
    logged(comment(1, author="ada"), 10, stream_id=OTHER),
]


@pytest.fixture
def old(cql_server: CqlServer) -> Iterator[Address]:
    """`ITEMS` in a keyspace as the first version left it."""
    address = address_of(cql_server, f"upgraded_{time.time_ns()}")
    cluster = cluster_of(address)
    try:
        session = cluster.connect()
        copies = "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"
        session.execute(f"CREATE KEYSPACE {address.keyspace} WITH replication = {copies}")
        for statement in (*BOOTSTRAP, *MIGRATIONS[0]):
            assert isinstance(statement, str)
            session.execute(statement.replace("{ks}", address.keyspace), timeout=30)
        for item in ITEMS:
            _write(session, address.keyspace, item)
        _record(session, address.keyspace)
        session.execute(f"INSERT INTO {address.keyspace}.migrations (name, version) VALUES ('store', 1)")  # noqa: S608 - of ours
        yield address
    finally:
        cluster.shutdown()
        drop(address)


def _record(session: Session, keyspace: str) -> None:
    """A stream of revision `BEGUN + 3`, and what was archived through: written at the time that these are as microseconds."""
    stream_id, data, at = record(1).stream_id, codec.encode(record(1)), f"USING TIMESTAMP {BEGUN + 3}"
    # Names of ours.
    for statement, values in (
        ("streams (stream_id, revision, record) VALUES (%s, %s, %s)", (stream_id, BEGUN + 3, data)),
        ("streams_by_status (status, month, stream_id, record) VALUES ('live', %s, %s, %s)", (MONTH, stream_id, data)),
        ("streams_by_status (status, month, stream_id, record) VALUES ('*', %s, %s, %s)", (MONTH, stream_id, data)),
        ("archived (log, through) VALUES ('LIVE_1', %s)", (BEGUN + 3,)),
    ):
        session.execute(f"INSERT INTO {keyspace}.{statement} {at}", values)
    session.execute(f"INSERT INTO {keyspace}.stream_months (name, month) VALUES ('*', %s)", (MONTH,))  # noqa: S608 - as above


def _write(session: Session, keyspace: str, item: LoggedItem) -> None:
    """What the first version wrote of one item, spelled out; what it counted is left to the next write."""
    said = item.item if isinstance(item.item, Comment) else None
    comment_id, at, stream_id, seq = said.comment_id if said else "", event_us(item), item.stream_id, item.seq

    def insert(table: str, columns: str, *values: object) -> None:
        marks = ", ".join(["%s"] * len(values))
        # Names of ours.
        statement = f"INSERT INTO {keyspace}.{table} ({columns}) VALUES ({marks}) USING TIMESTAMP {at}"  # noqa: S608
        session.execute(statement, values)

    def decide(comment_id: str, kind: str) -> None:
        insert("decisions", "stream_id, comment_id, seq, kind, at_us", stream_id, comment_id, seq, kind, at)

    row = (stream_id, places.bucket_of(seq), seq, item.at_ms, item.payload, item.msg_id or "", comment_id)
    insert("items", "stream_id, bucket, seq, at_ms, payload, msg_id, comment_id", *row)
    for key in (f"c{said.comment_id}", f"u{said.user.id}", f"m{item.msg_id}") if said else ():
        insert("lookups", "stream_id, part, key, seq, comment_id", stream_id, places.part_of(key), key, seq, comment_id)
    match item.item:
        case Removed(comment_id=gone, reason=reason):
            decide(gone, f"removed:{reason}")
        case Restored(comment=back):
            decide(back.comment_id, "restored")
        case Purged(user_id=user_id):
            insert("purges", "stream_id, user_id, seq, at_us", stream_id, user_id, seq, at)
            for each in ("1", "3", "5"):
                decide(each, "purged")


async def test_a_keyspace_of_the_first_format_is_migrated(old: Address) -> None:
    """Refused until then, naming the command; afterwards its comments, people and decisions are there; twice is once."""
    with pytest.raises(Unavailable, match=f"has format 1, this version needs {len(MIGRATIONS)}: run `ovation migrate`"):
        await Database.open(old)
    assert sum(await asyncio.gather(migrate(old), migrate(old))) == len(MIGRATIONS) - 1
    database = await Database.open(old)
    store, people, moderation = ScyllaComments(database), ScyllaPeople(database), ScyllaModeration(database)

    assert [(each.stream_id, each.seq) for each in await people.said("ada", None, 9)] == [(OTHER, 10), (S, 4), (S, 2)]
    assert await moderation.decisions(S, END, 9) == [decision_of(each) for each in ITEMS[8:4:-1]]
    await _moved_on(ScyllaStreams(database), store)
    await store.erase(S, [4], ITEMS[-1].at_ms)
    await store.write(ITEMS, {LOG: 10})
    assert await store.erased(S, 0, END, 9) == [4, 8]
    assert await everything(store) == [(1, "purged"), (2, "moderator"), (3, "purged"), (5, "purged")]
    assert [each.seq for each in await people.said("ada", None, 9)] == [10, 2]
    assert (await store.total(S), await store.total(OTHER)) == (0, 1)
    await database.close()


async def _moved_on(streams: ScyllaStreams, store: ScyllaComments) -> None:
    """What was written years ahead is there, gives way to what is newer, and to nothing older."""
    assert await streams.by_creator("ada", before=None, limit=9) == [record(1)]
    assert await streams.page(status="live", before=None, limit=9) == [record(1)]
    assert await store.archived_through("LIVE_1") == BEGUN + 3
    for revision, title in ((BEGUN + 4, "newer"), (BEGUN + 2, "older")):
        await streams.put(record(1, title=title), revision)
        await store.write([], {"LIVE_1": revision})
    assert await streams.get(record(1).stream_id) == record(1, title="newer")
    assert await streams.page(status=None, before=None, limit=9) == [record(1, title="newer")]
    assert await store.archived_through("LIVE_1") == BEGUN + 4
