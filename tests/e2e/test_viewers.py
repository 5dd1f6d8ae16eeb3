"""Viewers on two gateways: the same comments, in the same order, whatever happens to their connections."""

import asyncio
import random
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.backends.nats import NatsServer
from tests.cluster import Cluster, cluster
from tests.processes import Client
from tests.viewer import Viewer
from tests.waits import PATIENCE_S, eventually

pytestmark = [pytest.mark.nats, pytest.mark.e2e]

COMMENTS = 2000
#: Posted by this many guests side by side: limits are raised, order is the log's.
AUTHORS = 8


async def _post_all(c: Cluster, stream_id: str, count: int) -> list[int]:
    """Post *count* numbered comments over both gateways; their seqs, by number."""
    seqs = [0] * count

    async def author(first: int) -> None:
        async with await Client(c.url(first % 2)).guest(f"Author {first}") as client:
            for number in range(first, count, AUTHORS):
                answer = await client.post(stream_id, f"comment {number}", f"key-{number}")
                assert answer.status_code == 201, answer.text
                seqs[number] = answer.json()["seq"]

    await asyncio.gather(*(author(n) for n in range(AUTHORS)))
    return seqs


async def test_everyone_gets_everything_in_one_order(nats_server: NatsServer, tmp_path: Path) -> None:
    """2,000 comments; viewers on two gateways, half with gzip, one cut 20 times at random, one on a gateway without a ring.

    Each receives exactly the posted set, once, in the order of the log, with an unbroken chain.
    """
    async with cluster(nats_server, tmp_path, gateways=3, limits="100000/1", no_ring=(2,)) as c:
        async with await Client(c.url(0)).guest() as host:
            stream_id = (await host.start())["stream_id"]
        steady = [await Viewer(c.events(n % 2, stream_id), gzip=n % 4 < 2, backfill=0).open() for n in range(8)]
        ringless = await Viewer(c.events(2, stream_id), backfill=0).open()
        flighty = Viewer(c.events(0, stream_id), gzip=True, backfill=0)
        posting = asyncio.create_task(_post_all(c, stream_id, COMMENTS))
        cutting = asyncio.create_task(_cut_often(flighty, c, stream_id, posting, times=20))
        resting = asyncio.create_task(_cut_often(ringless, c, stream_id, posting, times=5, gateway=2))
        seqs = await posting
        await asyncio.gather(cutting, resting)
        for viewer in [*steady, ringless, flighty]:
            await viewer.until(lambda v: len(v.items) >= COMMENTS)

        for viewer in [*steady, ringless, flighty]:
            assert viewer.faults == []
            assert viewer.gaps == []
            assert sorted(seqs) == viewer.seqs
            assert {f"comment {n}" for n in range(COMMENTS)} == set(viewer.texts)
        assert flighty.connections > 20


async def _cut_often(
    viewer: Viewer, c: Cluster, stream_id: str, posting: "asyncio.Task[list[int]]", times: int, gateway: int | None = None
) -> None:
    """Cut a viewer's connection after random counts of bytes, and bring it back on either gateway."""
    chance = random.Random(7)
    for _ in range(times + 1):
        if viewer.connections:
            seen = len(viewer.items)
            more = chance.randrange(1, 40)
            await eventually(lambda: len(viewer.items) >= seen + more or posting.done())  # noqa: B023 - awaited here
            await viewer.cut()
        viewer.url = c.events(chance.randrange(2) if gateway is None else gateway, stream_id)
        await viewer.open()
    if not viewer.connections:
        await viewer.open()


async def test_a_viewer_resumes_where_it_left(nats_server: NatsServer, tmp_path: Path) -> None:
    """Cut, ten comments, back on another gateway: exactly the ten, and `prev` is the client's own last id."""
    async with cluster(nats_server, tmp_path, gateways=2, limits="1000/1") as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        viewer = await Viewer(c.events(0, stream_id)).open()
        await host.post(stream_id, "before")
        await viewer.until(lambda v: v.texts == ["before"])
        await viewer.cut()
        for n in range(10):
            await host.post(stream_id, f"missed {n}")
        viewer.url = c.events(1, stream_id)
        await viewer.open()
        await viewer.until(lambda v: len(v.texts) == 11)

        assert viewer.texts == ["before", *(f"missed {n}" for n in range(10))]
        assert viewer.faults == []
        await viewer.cut()


async def test_history_comes_from_the_store_once_the_log_is_gone(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The log was purged of what is archived: a viewer from the beginning still gets all of it, and no gap."""
    async with cluster(own_nats_server, tmp_path, gateways=1, limits="1000/1") as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        for n in range(120):
            await host.post(stream_id, f"old {n}")
        await c.archived(stream_id, 120)
        await c.purge_live_log()
        await host.post(stream_id, "new")
        viewer = Viewer(c.events(0, stream_id), last_id=0)
        await viewer.open()
        await viewer.until(lambda v: len(v.texts) == 121)

        assert viewer.texts == [*(f"old {n}" for n in range(120)), "new"]
        assert viewer.gaps == []
        assert viewer.faults == []
        await viewer.cut()


async def test_what_is_lost_is_told(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The log was purged and nothing had archived it: a gap with its bounds, and the next prev is its end."""
    async with cluster(own_nats_server, tmp_path, gateways=1, limits="1000/1", archive=False) as c:
        async with await Client(c.url(0)).guest() as host:
            stream_id = (await host.start())["stream_id"]
            before = (await host.post(stream_id, "seen")).json()["seq"]
            await host.post(stream_id, "lost")
            await c.purge_live_log()
            await host.post(stream_id, "kept")
        viewer = Viewer(c.events(0, stream_id), last_id=before)
        await viewer.open()
        await viewer.until(lambda v: v.texts == ["kept"])

        assert [gap["reason"] for gap in viewer.gaps] == ["expired"]
        assert viewer.gaps[0]["from"] == before + 1
        assert viewer.faults == []
        await viewer.cut()


async def test_cursors_of_no_log_are_reset(nats_server: NatsServer, tmp_path: Path) -> None:
    """A last id above the log's end, or from before its incarnation, is told as a reset and then served.

    Whatever the gateway has in memory: it saw the stream begin at 0, which is everything and no reset.
    """
    async with cluster(nats_server, tmp_path, gateways=1) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        watching = await Viewer(c.events(0, stream_id)).open()
        await host.post(stream_id, "hello")
        await watching.until(lambda v: v.texts == ["hello"])
        everything = await Viewer(c.events(0, stream_id), last_id=0).open()
        await everything.until(lambda v: v.texts == ["hello"])
        assert everything.gaps + everything.faults == []
        for last_id in (2**53 - 1, 5):
            viewer = await Viewer(c.events(0, stream_id), last_id=last_id).open()
            await viewer.until(lambda v: v.texts == ["hello"])

            assert [gap["reason"] for gap in viewer.gaps] == ["reset"]
            assert viewer.faults == []
            await viewer.cut()


async def test_a_removed_comment_is_gone_from_everywhere(nats_server: NatsServer, tmp_path: Path) -> None:
    """Live viewers are told; resume, backfill and pages have the placeholder with the comment's own seq."""
    async with cluster(nats_server, tmp_path, gateways=2) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        viewer = await Viewer(c.events(1, stream_id)).open()
        start = (await host.post(stream_id, "stays")).json()
        secret = (await host.post(stream_id, "secret words")).json()
        await viewer.until(lambda v: len(v.texts) == 2)
        gone = await host.http.delete(f"/streams/{stream_id}/comments/{secret['comment_id']}")
        assert gone.status_code == 204
        await viewer.until(lambda v: v.items[-1]["type"] == "removed")
        late = [
            await Viewer(c.events(n, stream_id), gzip=bool(n), **how).open()
            for n in (0, 1)
            for how in ({"backfill": 50}, {"last_id": start["seq"]}, {"last_id": 0})
        ]
        for each in late:
            await each.until(lambda v: [i["type"] for i in v.items[-2:]] == ["removed", "removed"])
        page = await host.http.get(f"/streams/{stream_id}/comments")

        for each in late:
            assert "secret words" not in str(each.events)
            assert secret["seq"] in each.seqs
            assert each.faults == []
        assert "secret words" not in page.text
        assert [("removed", secret["seq"]), ("comment", start["seq"])] == [
            (entry["type"], entry["seq"]) for entry in page.json()["comments"]
        ]
        for each in [viewer, *late]:
            await each.cut()


async def test_the_first_delivery_comes_at_once(nats_server: NatsServer, tmp_path: Path) -> None:
    """Also to an empty stream: `prev` 0 and no items; with backfill n, the newest n and the seq before them."""
    async with cluster(nats_server, tmp_path, gateways=1) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        empty = await Viewer(c.events(0, stream_id)).open()
        await empty.until(lambda v: any(e.name == "comments" for e in v.events))
        first = next(e for e in empty.events if e.name == "comments")

        assert (first.data["prev"], first.data["items"], first.data["backfill"]) == (0, [], True)
        await empty.cut()

        seqs = [(await host.post(stream_id, f"c{n}")).json()["seq"] for n in range(4)]
        newest = await Viewer(c.events(0, stream_id), backfill=2).open()
        await newest.until(lambda v: len(v.items) == 2)
        first = next(e for e in newest.events if e.name == "comments")

        assert seqs[2:] == newest.seqs
        assert seqs[1] == first.data["prev"]
        await newest.cut()


async def test_bad_requests_are_refused_before_any_body(nats_server: NatsServer, tmp_path: Path) -> None:
    """Not a number, a wrong backfill, an unknown stream, a bad credential: a problem document each."""
    async with cluster(nats_server, tmp_path, gateways=1) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        for query, headers, status, code in (
            ("?last_event_id=abc", {}, 422, "VALIDATION"),
            ("", {"Last-Event-ID": "-1"}, 422, "VALIDATION"),
            ("?backfill=501", {}, 422, "VALIDATION"),
            ("?only=cats", {}, 422, "VALIDATION"),
            ("?ticket=nonsense", {}, 401, "UNAUTHORIZED"),
            ("", {"Authorization": "Bearer nonsense"}, 401, "UNAUTHORIZED"),
        ):
            viewer = await Viewer(c.events(0, stream_id) + query, headers=headers).open()
            await viewer.ended()

            assert status == viewer.status
            assert "application/problem+json" in viewer.response_headers["content-type"]
            assert code.encode() in viewer.body
        for unknown in ("018bcfe5-6800-7bb6-bc13-d949c5118ce2", "*", ">", "a.b", "%2e%2e"):
            viewer = await Viewer(c.events(0, unknown)).open()
            await viewer.ended()

            assert viewer.status == 404


async def test_a_draining_gateway_sends_everyone_away_between_frames(nats_server: NatsServer, tmp_path: Path) -> None:
    """SIGTERM: each connection ends with a `retry:`, nothing is cut inside a frame, and everyone resumes elsewhere."""
    async with cluster(nats_server, tmp_path, gateways=2, limits="10000/1", drain_s=1) as c:
        async with await Client(c.url(1)).guest() as host:
            stream_id = (await host.start())["stream_id"]
            viewers = [await Viewer(c.events(0, stream_id), backfill=0).open() for _ in range(20)]
            for viewer in viewers:
                await viewer.until(lambda v: v.events)
            posting = asyncio.create_task(_post_all_to(host, stream_id, 200))
            c.gateways[0].signal(15)
            for viewer in viewers:
                await viewer.ended()
                viewer.url = c.events(1, stream_id)
                await viewer.open()
            await posting
            for viewer in viewers:
                await viewer.until(lambda v: len(v.texts) == 200)

            assert [viewer.faults for viewer in viewers] == [[]] * 20
            assert c.gateways[0].wait() == 0


async def _post_all_to(client: Client, stream_id: str, count: int) -> None:
    for n in range(count):
        assert (await client.post(stream_id, f"c{n}")).status_code == 201


@pytest.mark.parametrize("pieces", [1, 2, 400])
async def test_a_request_may_come_in_pieces(nats_server: NatsServer, tmp_path: Path, pieces: int) -> None:
    """However the network cuts the head, and after an ordinary request on the same connection, a viewer gets its events."""
    async with cluster(nats_server, tmp_path, gateways=1) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        await host.post(stream_id, "hello")
        parts = urlsplit(c.events(0, stream_id))
        head = f"GET {parts.path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode()
        for first in (b"", f"GET /api/v1/streams/{stream_id} HTTP/1.1\r\nHost: x\r\n\r\n".encode()):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if first:
                writer.write(first)
                assert b"200" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            size = -(-len(head) // pieces)
            for start in range(0, len(head), size):
                writer.write(head[start : start + size])
                await writer.drain()
                await asyncio.sleep(0)
            answer = await asyncio.wait_for(reader.readuntil(b'"text":"hello"'), PATIENCE_S)

            assert b"event-stream" in answer
            writer.close()
            await writer.wait_closed()
