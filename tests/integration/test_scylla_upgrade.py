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
        columns = "stream_id, revision, record"
        statement = f"INSERT INTO {address.keyspace}.streams ({columns}) VALUES (%s, 3, %s)"  # noqa: S608 - of ours
        session.execute(statement, (record(1).stream_id, codec.encode(record(1))))
        session.execute(f"INSERT INTO {address.keyspace}.migrations (name, version) VALUES ('store', 1)")  # noqa: S608 - of ours
        yield address
    finally:
        cluster.shutdown()
        drop(address)


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
    assert await ScyllaStreams(database).by_creator("ada", before=None, limit=9) == [record(1)]
    await store.erase(S, [4], ITEMS[-1].at_ms)
    await store.write(ITEMS, {LOG: 10})
    assert await store.erased(S, 0, END, 9) == [4, 8]
    assert await everything(store) == [(1, "purged"), (2, "moderator"), (3, "purged"), (5, "purged")]
    assert [each.seq for each in await people.said("ada", None, 9)] == [10, 2]
    assert (await store.total(S), await store.total(OTHER)) == (0, 1)
    await database.close()
