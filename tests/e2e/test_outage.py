"""The broker goes away and comes back: what still works, what is said meanwhile, and how soon everything is as before."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.backends.nats import NatsServer
from tests.cluster import Cluster, cluster
from tests.faults import FaultProxy
from tests.processes import Client
from tests.viewer import Viewer
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.e2e, pytest.mark.chaos]

#: The promised minute; a pause only has to outlast every timer on the way: pings, publish_wait_s, heartbeats, the lease.
AWAY_S = {"killed": 60.0, "paused": 20.0}
#: The promise is 5 s, which two busy cores may miss; whoever waits for a timer that is not the connection's own takes longer.
BACK_S = 15.0
#: The promise is 3 s. Who is not told at once finds a lost comment when all tails are looked at, every 30 s.
TOLD_S = 10.0


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def audience(c: Cluster, stream_id: str) -> AsyncIterator[list[Viewer]]:
    """A viewer with gzip and one without on each gateway."""
    viewers = [await Viewer(c.events(n % 2, stream_id), gzip=n < 2, backfill=50).open() for n in range(4)]
    try:
        yield viewers
    finally:
        for viewer in viewers:
            await viewer.cut()


async def repeated(check: Callable[[], Awaitable[object]], seconds: float) -> int:
    """Run *check* again and again for so long; how often it ran."""
    until, times = now() + seconds, 0
    while now() < until:
        await check()
        times += 1
        pause = now() + 2.0
        await eventually(lambda: now() > pause)  # noqa: B023 - awaited here
    return times


@pytest.mark.parametrize("how", AWAY_S)
async def test_the_broker_is_away(own_nats_server: NatsServer, tmp_path: Path, how: str) -> None:
    """Pages, history and open connections survive; posting answers 503 with `retry_after`; all is back within seconds."""
    async with cluster(own_nats_server, tmp_path, gateways=2) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        said = [(await host.post(stream_id, f"before {n}")).json()["text"] for n in range(30)]
        await c.archived(stream_id, 30)
        async with audience(c, stream_id) as viewers:
            for viewer in viewers:
                await viewer.until(lambda v: len(v.texts) == 30)
            own_nats_server.kill() if how == "killed" else own_nats_server.pause()
            first = await host.post(stream_id, "posted while away", "the key")
            assert (first.status_code, first.json()["code"]) == (503, "UNAVAILABLE")
            assert await repeated(lambda: away(c, host, stream_id, said), AWAY_S[how]) > 1

            own_nats_server.start() if how == "killed" else own_nats_server.resume()
            deadline = now() + BACK_S
            await eventually(lambda: succeeds(host.post(stream_id, "posted while away", "the key")), timeout=BACK_S)
            for viewer in viewers:
                await viewer.until(lambda v: v.texts == [*said, "posted while away"], timeout_s=deadline - now())
                assert (viewer.connections, viewer.faults, viewer.gaps) == (1, [], [])
            page = await host.http.get(f"/streams/{stream_id}/comments?limit=200&sort=asc")
            assert [each["text"] for each in page.json()["comments"]] == [*said, "posted while away"]


async def away(c: Cluster, host: Client, stream_id: str, said: list[str]) -> None:
    """What holds at any moment of an outage, on either gateway."""
    for n in range(2):
        async with httpx.AsyncClient(base_url=c.url(n), timeout=10) as http:
            page = await http.get(f"/api/v1/streams/{stream_id}/comments?limit=200&sort=asc")
            assert [each["text"] for each in page.json()["comments"]] == said
            stream = await http.get(f"/api/v1/streams/{stream_id}")
            assert (stream.status_code, stream.json()["status"]) == (200, "live")
            assert (await http.get("/api/v1/streams")).status_code == 200
    began = now()
    refused = await host.post(stream_id, "never stored", "another key")
    assert refused.status_code == 503, refused.text
    problem = refused.json()
    assert (problem["code"], problem["retryable"]) == ("UNAVAILABLE", True)
    assert problem["retry_after"] >= 1
    assert refused.headers["Retry-After"] == str(problem["retry_after"])
    # After the first ones, which waited for the broker's return, nobody waits again.
    assert now() - began < 20
    late = await Viewer(c.events(1, stream_id), backfill=50).open()
    assert late.status == 200
    await late.until(lambda v: v.texts == said)
    assert late.faults == []
    await late.cut()


async def succeeds(answer: Awaitable[httpx.Response]) -> bool:
    """Whether it was created, now or before."""
    return (await answer).is_success


async def test_a_last_comment_that_nothing_follows(nats_server: NatsServer, tmp_path: Path) -> None:
    """Posted while a gateway's link to NATS is cut, or silent: its viewers have it soon after the link's return."""
    async with FaultProxy.before(nats_server.port) as proxy:
        routes = (nats_server.url, f"nats://127.0.0.1:{proxy.port}")
        async with cluster(nats_server, tmp_path, gateways=2, nats_urls=routes) as c, await Client(c.url(0)).guest() as host:
            stream_id = (await host.start())["stream_id"]
            viewer = await Viewer(c.events(1, stream_id), backfill=0).open()
            await host.post(stream_id, "first")
            await viewer.until(lambda v: v.texts == ["first"])
            for number, break_link in enumerate((proxy.cut, proxy.hush, proxy.cut_once)):
                seen = [*viewer.texts, f"alone {number}"]
                break_link()
                assert (await host.post(stream_id, seen[-1])).status_code == 201
                proxy.heal()
                await viewer.until(lambda v: v.texts == seen, timeout_s=TOLD_S)  # noqa: B023 - awaited here
            assert (viewer.connections, viewer.faults, viewer.gaps) == (1, [], [])
            await viewer.cut()
