"""WebSocket viewers on real gateways: what an SSE viewer gets, in the same order, whatever happens to them."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.backends.nats import NatsServer
from tests.cluster import Cluster, cluster
from tests.processes import Client
from tests.socketviewer import SocketViewer
from tests.viewer import Viewer
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.e2e]

COMMENTS = 2000
AUTHORS = 8


async def _author(c: Cluster, stream_id: str, first: int) -> SocketViewer:
    """A connection that posts, on either gateway."""
    client = await Client(c.url(first % 2)).guest(f"Author {first}")
    async with client:
        author = SocketViewer(c.url(first % 2), query=await client.ticket(stream_id))
    await author.open()
    author.stream_id = stream_id
    return author


async def test_both_protocols_show_the_same_log(nats_server: NatsServer, tmp_path: Path) -> None:
    """2,000 comments posted over WebSocket; viewers of both protocols side by side, some cut at random moments.

    Each gets exactly what was acknowledged, once, in the order of the log, with an unbroken chain and the same items.
    """
    async with cluster(nats_server, tmp_path, gateways=2, limits="100000/1") as c:
        async with await Client(c.url(0)).guest() as host:
            stream_id = (await host.start())["stream_id"]
        events = [await Viewer(c.events(n % 2, stream_id), gzip=n < 2, backfill=0).open() for n in range(4)]
        sockets = [await (await SocketViewer(c.url(n % 2)).open()).join(stream_id) for n in range(6)]
        authors = [await _author(c, stream_id, n) for n in range(AUTHORS)]
        acked: dict[int, int] = {}

        async def post(author: SocketViewer, first: int) -> None:
            for number in range(first, COMMENTS, AUTHORS):
                # Faster than one connection may: past 100 at once and 50 a second it is told so, and tries again.
                ack = await author.post(f"comment {number}", f"key-{number}")
                while ack["status"] == "rate_limited":
                    ack = await author.post(f"comment {number}", f"key-{number}")
                assert ack["status"] == "accepted", ack
                acked[number] = ack["seq"]

        async def flighty(viewer: SocketViewer, times: int) -> None:
            for n in range(times):
                seen = len(viewer.items)
                await eventually(lambda: len(viewer.items) > seen + 17 * (n + 1) or len(acked) == COMMENTS, timeout=60)  # noqa: B023 - awaited here
                await viewer.cut()
                viewer.url = c.url(n % 2)
                await viewer.again()

        await asyncio.gather(
            *(post(author, n) for n, author in enumerate(authors)), flighty(sockets[0], 12), flighty(sockets[1], 5)
        )
        everyone: list[Viewer | SocketViewer] = [*events, *sockets]
        await eventually(lambda: all(len(viewer.items) >= COMMENTS for viewer in everyone))

        for viewer in everyone:
            assert viewer.faults == []
            assert viewer.gaps == []
            assert sorted(acked.values()) == viewer.seqs
            assert events[0].items == viewer.items
        assert sockets[0].connections > 12


async def test_a_viewer_resumes_on_another_gateway(nats_server: NatsServer, tmp_path: Path) -> None:
    """Cut, ten comments, back elsewhere with `last_seen_seq`: exactly the ten, and `prev` is the client's own position."""
    async with cluster(nats_server, tmp_path, gateways=2) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        viewer = await (await SocketViewer(c.url(0)).open()).join(stream_id)
        await host.post(stream_id, "before")
        await viewer.until(lambda v: v.texts == ["before"])
        await viewer.cut()
        for n in range(10):
            await host.post(stream_id, f"missed {n}")
        viewer.url = c.url(1)
        await viewer.again()
        await viewer.until(lambda v: len(v.texts) == 11)

        assert viewer.texts == ["before", *(f"missed {n}" for n in range(10))]
        assert viewer.faults == []


async def test_the_first_batch_and_gaps_are_those_of_events(nats_server: NatsServer, tmp_path: Path) -> None:
    """Backfill of the newest 50 with the seq before them; an impossible position is told as a reset; removals are there."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        posted = [(await host.post(stream_id, f"c{n}")).json() for n in range(60)]
        await host.http.delete(f"/streams/{stream_id}/comments/{posted[-1]['comment_id']}")
        events = await Viewer(c.events(0, stream_id)).open()
        viewer = await (await SocketViewer(c.url(0)).open()).join(stream_id)
        first, theirs = viewer.of("comments_batch")[0], events.events[0].data

        assert (first["is_backfill"], first["prev"], first["from"], first["to"], first["comments"]) == (
            True,
            theirs["prev"],
            theirs["from"],
            theirs["to"],
            theirs["items"],
        )
        assert [item["type"] for item in first["comments"][-2:]] == ["removed", "removed"]
        assert "c59" not in str(first)

        for last_seen in (2**53 - 1, 5):
            await viewer.join(stream_id, last_seen)
            await viewer.until(lambda v: v.gaps and len(v.items) >= 50)
            gap = viewer.gaps.pop()

            assert (gap["stream_id"], gap["reason"]) == (stream_id, "reset")
        assert viewer.faults == []


async def test_joining_leaves_the_stream_before(nats_server: NatsServer, tmp_path: Path) -> None:
    """One stream at a time: nothing of the first follows once the second has begun; leave_stream ends all of it."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as host:
        first, second = [(await host.start())["stream_id"] for _ in range(2)]
        viewer = await (await SocketViewer(c.url(0)).open()).join(first)
        for n in range(20):
            # Whatever is still being done for a stream that was left must not reach the next one.
            await viewer.join(second if n % 2 == 0 else first, 0 if n % 3 == 0 else None)
        # Two at once, of streams nobody watches yet: both take a while to open, and the last one counts.
        third, fourth = [(await host.start())["stream_id"] for _ in range(2)]
        await viewer.send(type="join_stream", stream_id=third)
        await viewer.join(fourth)
        await eventually(lambda: _viewers(c, third, fourth) == [0, 1])
        assert third not in {m.get("stream_id") for m in viewer.messages}
        await viewer.join(second)
        seen = len(viewer.messages)
        await host.post(first, "not for you")
        await host.post(second, "for you")
        await viewer.until(lambda v: "for you" in v.texts)
        await viewer.send(type="leave_stream")
        await eventually(lambda: _viewers(c, first, second) == [0, 0])
        await host.post(second, "gone")
        await viewer.join(first)

        assert "gone" not in str(viewer.messages)
        assert "not for you" not in str([m for m in viewer.messages[seen:] if m.get("stream_id") == second])
        assert viewer.faults == []


def _viewers(c: Cluster, *stream_ids: str) -> list[int]:
    return [httpx.get(f"{c.url(0)}/api/v1/streams/{each}").json()["viewer_count"] for each in stream_ids]


async def test_reactions_and_counts_arrive(nats_server: NatsServer, tmp_path: Path) -> None:
    """A tap over WebSocket reaches viewers of both protocols with its totals; so does the viewer count."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        events = await Viewer(c.events(0, stream_id)).open()
        viewer = SocketViewer(c.url(0), query=await host.ticket(stream_id))
        await (await viewer.open()).join(stream_id)
        await viewer.send(type="react", stream_id=stream_id, reaction_type="love")
        await viewer.until(lambda v: v.of("reactions_batch"))
        await events.until(lambda v: any(e.name == "reactions" for e in v.events))
        await viewer.until(lambda v: any(m["count"] == 2 for m in v.of("viewer_count")))
        burst = viewer.of("reactions_batch")[0]

        assert (burst["stream_id"], burst["counts"], burst["totals"]) == (stream_id, {"love": 1}, {"love": 1})


async def test_a_draining_gateway_sends_everyone_away(nats_server: NatsServer, tmp_path: Path) -> None:
    """SIGTERM: each is told when to come back and closed with 1001, between windows; everyone resumes and misses nothing."""
    async with cluster(nats_server, tmp_path, gateways=2, limits="10000/1", drain_s=1) as c:
        async with await Client(c.url(1)).guest() as host:
            stream_id = (await host.start())["stream_id"]
            viewers = [await (await SocketViewer(c.url(0)).open()).join(stream_id) for _ in range(20)]
            idle = [await SocketViewer(c.url(0)).open() for _ in range(5)]
            posting = asyncio.create_task(_post_all(host, stream_id, 200))
            c.gateways[0].signal(15)
            for viewer in [*viewers, *idle]:
                await viewer.ended()

                assert viewer.close_code == 1001
                assert 1000 <= viewer.messages[-1]["retry_ms"] <= 5000
            for viewer in viewers:
                viewer.url = c.url(1)
                await viewer.again()
            await posting
            for viewer in viewers:
                await viewer.until(lambda v: len(v.texts) == 200)

            assert [viewer.faults for viewer in viewers] == [[]] * 20
            assert c.gateways[0].wait() == 0


async def _post_all(client: Client, stream_id: str, count: int) -> None:
    for n in range(count):
        assert (await client.post(stream_id, f"c{n}")).status_code == 201


async def test_a_full_gateway_says_so(nats_server: NatsServer, tmp_path: Path) -> None:
    """Past the bound on viewers an upgrade is accepted, told when to come back, and closed with 1013; both protocols count."""
    async with cluster(nats_server, tmp_path, max_viewers=2) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        first = await (await SocketViewer(c.url(0)).open()).join(stream_id)
        second = await Viewer(c.events(0, stream_id)).open()
        third = await SocketViewer(c.url(0)).open()
        await third.ended()

        assert third.close_code == 1013
        assert third.messages[-1]["type"] == "reconnect"
        await second.cut()

        async def admitted() -> bool:
            fourth = await SocketViewer(c.url(0)).open()
            await fourth.join(stream_id)
            return fourth.of("comments_batch") != []

        await eventually(admitted)
        assert not first.over


async def test_a_slow_viewer_costs_nobody_and_is_made_whole(nats_server: NatsServer, tmp_path: Path) -> None:
    """Viewers that stop reading, and go on pinging and asking, are skipped; reading again they have all, chain intact."""
    async with cluster(nats_server, tmp_path, limits="100000/1", window_ms=5) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        brisk = await (await SocketViewer(c.url(0)).open()).join(stream_id)
        slow = [await (await SocketViewer(c.url(0)).open()).join(stream_id) for _ in range(4)]
        authors = [await _author(c, stream_id, 2 * n) for n in range(AUTHORS)]
        for viewer in slow[:2]:
            viewer.pause()

        async def post(author: SocketViewer, first: int) -> None:
            for number in range(first, COMMENTS, AUTHORS):
                while (await author.post(f"{number} " + "x" * 480, f"key-{number}"))["status"] == "rate_limited":
                    pass

        async def fret(viewer: SocketViewer) -> None:
            for n in range(1, 20):
                await eventually(lambda: len(brisk.items) > n * 90, timeout=60)  # noqa: B023 - awaited here
                await viewer.send_raw("nonsense")
                viewer.pause() if n % 3 else viewer.resume()

        await asyncio.gather(*(post(author, n) for n, author in enumerate(authors)), *(fret(viewer) for viewer in slow[1:]))
        await brisk.until(lambda v: len(v.items) == COMMENTS)
        async with httpx.AsyncClient() as http:
            metrics = (await http.get(f"{c.gateways[0].ops_url}/metrics")).text
        for viewer in slow:
            viewer.resume()
            await viewer.until(lambda v: len(v.items) == COMMENTS)

        assert float(metrics.split("\novation_viewers_skipped_total ")[1].split("\n")[0]) >= 1
        for viewer in [brisk, *slow]:
            assert viewer.faults == []
            assert brisk.seqs == viewer.seqs
        for viewer in slow[1:]:
            await viewer.until(lambda v: len(v.of("error")) == 19)
