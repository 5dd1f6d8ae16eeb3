"""`ovation up` with its store on a cluster: from the post to a page of what the log has long forgotten."""

from pathlib import Path

import pytest

from infra.scylla import Database, ScyllaComments
from infra.scylla.address import Address
from tests.backends.cassandra import CqlServer
from tests.broker import broker
from tests.contract.scylla_backend import address_of, drop
from tests.ups import Up, running
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.media, pytest.mark.e2e]

LOG = "LIVE_0"
COMMENTS = 60


async def test_comments_outlive_the_log(cql_server: CqlServer, tmp_path: Path) -> None:
    """Posted, one of them removed, archived, the log emptied: every page, thread and total is as before; doctor is content."""
    address = address_of(cql_server, f"up_{tmp_path.parent.name.replace('-', '_')}")
    url = f"{cql_server.url}/{address.keyspace}?create_keyspace=true&replication=1"
    try:
        async with running(tmp_path, store_url=url, limit_user_stream="1000/1", limit_user="1000/1") as up:
            async with await up.client().guest() as host:
                stream_id = (await host.start())["stream_id"]
                posted = [(await host.post(stream_id, f"number {n}", f"k{n}")).json() for n in range(COMMENTS)]
                reply = await host.post(stream_id, "indeed", parent_comment_id=posted[3]["comment_id"])
                assert reply.status_code == 201, reply.text
                gone = posted[7]["comment_id"]
                assert (await host.http.delete(f"/streams/{stream_id}/comments/{gone}")).status_code == 204
                before = await pages(up, stream_id)
                await emptied(up, address)

                assert await pages(up, stream_id) == before
                assert len(before) == COMMENTS + 1
                first = (await host.http.get(f"/streams/{stream_id}/comments?limit=5")).json()
                assert (first["total"], first["total_is_exact"]) == (COMMENTS, True)
                thread = (await host.http.get(f"/streams/{stream_id}/comments/{posted[3]['comment_id']}/replies")).json()
                assert [each["text"] for each in thread["comments"]] == ["indeed"]
                # The key is found in the store: the log knows it no more.
                again = await host.post(stream_id, "number 5", "k5")
                assert (again.status_code, again.json()["seq"]) == (200, posted[5]["seq"])
            code, out, _ = await up.run("doctor")
            assert "missing  store" not in out, (code, out)
            assert address.keyspace in out
    finally:
        drop(address)


async def pages(up: Up, stream_id: str) -> list[tuple[int, str | None]]:
    """Seq and text of all comments, a page of seven at a time."""
    found: list[tuple[int, str | None]] = []
    cursor = ""
    async with up.client() as anybody:
        while True:
            answer = (await anybody.http.get(f"/streams/{stream_id}/comments?limit=7&sort=asc{cursor}")).json()
            found += [(each["seq"], each.get("text")) for each in answer["comments"]]
            if not answer["next_cursor"]:
                return found
            cursor = f"&cursor={answer['next_cursor']}"


async def emptied(up: Up, address: Address) -> None:
    """Wait until everything is archived, then forget the log."""
    database = await Database.open(address)
    store = ScyllaComments(database)
    async with broker(f"nats://127.0.0.1:{up.settings['nats_port']}", apply=False) as b:

        async def archived() -> bool:
            return await store.archived_through(LOG) >= (await b.reader.state(LOG)).last

        await eventually(archived)
        await b.connection.request(f"$JS.API.STREAM.PURGE.{LOG}")
        state = await b.reader.state(LOG)
        assert state.first > state.last
    await database.close()
