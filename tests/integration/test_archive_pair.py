"""Several archives on one durable share its load; a kill of one loses nothing, and the mark never says what is not so."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from infra.scylla import Address, ScyllaComments
from infra.scylla import Database as Cluster
from ovation.verify import differences
from schemas import subjects
from tests.archives import LOG, say
from tests.backends.cassandra import CqlServer
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.contract.scylla_backend import empty
from tests.factories import comment
from tests.processes import Process, killed_after
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.chaos]


def worker(nats: NatsServer, folder: Path, store: str, name: str) -> Process:
    """One archive of several."""
    return Process(
        "worker", "archive", log=folder / f"{name}.log", nats_url=nats.url, data_dir=folder, store_url=store, ops_port=0,
        archive_batch=50, log_format="json",
    )  # fmt: skip


async def test_one_of_two_is_killed_in_the_middle(
    own_nats_server: NatsServer, cql_server: CqlServer, keyspace: Address, tmp_path: Path
) -> None:
    """Posts go on, both archive; kill -9 of one, its successor comes: at no moment does the mark pass what is not stored."""
    await asyncio.to_thread(empty, keyspace)
    database = await Cluster.open(keyspace)
    store = ScyllaComments(database)
    one, two = (worker(own_nats_server, tmp_path, f"{cql_server.url}/{keyspace.keyspace}", each) for each in ("one", "two"))
    try:
        async with broker(own_nats_server.url) as b:
            stream_id = fresh_stream()
            with killed_after(one, two):
                one.start()
                two.start()
                await asyncio.gather(one.ready(60), two.ready(60))
                seqs: list[int] = []

                async def more(count: int) -> None:
                    said = (say(b, stream_id, comment(n), str(n)) for n in range(len(seqs), len(seqs) + count))
                    seqs.extend(sorted(await asyncio.gather(*said)))
                    await holds(b, store, stream_id)

                while min(await taken(one), await taken(two)) < 50:
                    await more(100)
                await more(400)
                one.kill()
                await more(200)
                one.start()

                async def all_is_archived() -> bool:
                    return await holds(b, store, stream_id) >= seqs[-1]

                await eventually(all_is_archived, timeout=60)
                assert [item.seq for item in await store.range(stream_id, 0, 2**53, 100_000)] == sorted(seqs)
                assert [line async for line in differences(b.reader, store, 0, stream_id)][:-1] == []
                assert not await b.reader.follow_from("DEAD", subjects.dead("archive"), 0)
                for each in (one, two):
                    lines = [json.loads(line) for line in each.text.splitlines() if line.startswith("{")]
                    # A store that has no core for a while is waited for like any other; nothing else is.
                    waits = [line for line in lines if line["event"] == "waiting" and "time" not in line["cause"].lower()]
                    assert waits == []
    finally:
        await database.close()


async def taken(process: Process) -> int:
    """How many items it has committed."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{process.ops_url}/metrics")).text
    return int(float(text.partition("\novation_archived_items_total ")[2].partition("\n")[0] or 0))


async def holds(b: Broker, store: ScyllaComments, stream_id: str) -> int:
    """Check that what the log has up to the mark is in the store; the mark."""
    through = await store.archived_through(LOG)
    until = min(through, (await b.reader.state(LOG)).last)
    in_log = [m.seq for m in await b.reader.range(LOG, subjects.live(0, stream_id), 0, until)]
    in_store = {item.seq for item in await store.range(stream_id, 0, until, 100_000)}
    assert not [seq for seq in in_log if seq not in in_store]
    return through
