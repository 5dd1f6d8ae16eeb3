"""Viewers and reactions over real gateways: what the pages of three gateways show."""

import asyncio
from pathlib import Path

import pytest

from gateway.fanout.announcer import Announcer
from gateway.fanout.presence import Presence
from gateway.fanout.sketch import person
from tests.backends.nats import NatsServer
from tests.broker import broker, fresh_stream
from tests.cluster import Cluster, cluster
from tests.faults import FaultProxy
from tests.processes import Client
from tests.viewer import Viewer
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.e2e]

#: The promises are 1 s, and 5 s after a kill -9, which two busy cores may miss. What is not told is told a minute later.
TOLD_S, GONE_S = 6.0, 15.0


def _count(viewer: Viewer) -> tuple[int, bool]:
    """What the page of *viewer* shows."""
    counts = [(event.data["count"], event.data["approximate"]) for event in viewer.events if event.name == "viewers"]
    return counts[-1] if counts else (0, False)


async def _watch(c: Cluster, gateway: int, stream_id: str, token: str | None = None) -> Viewer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await Viewer(c.events(gateway, stream_id), headers=headers).open()


def _token(client: Client) -> str:
    return client.http.headers["Authorization"].partition(" ")[2]


async def _asked(c: Cluster, stream_id: str) -> set[int]:
    """What each gateway answers over HTTP."""
    answers = set()
    for gateway in range(len(c.ports)):
        if c.gateways[gateway].alive:
            async with Client(c.url(gateway)) as client:
                answers.add((await client.http.get(f"/streams/{stream_id}/watch")).json()["viewer_count"])
    return answers


async def test_a_person_with_three_tabs_is_one_viewer_and_a_killed_gateways_viewers_vanish(
    nats_server: NatsServer, tmp_path: Path
) -> None:
    """Tabs on three gateways count once, everybody is told at once, and soon after a kill -9."""
    async with cluster(nats_server, tmp_path, gateways=3, archive=False) as c, Client(c.url(0)) as creator:
        stream_id = (await (await creator.guest("Ada")).start())["stream_id"]
        async with Client(c.url(0)) as bob:
            await bob.guest("Bob")
            ada_tabs = [await _watch(c, gateway, stream_id, _token(creator)) for gateway in range(3)]
            bobs_tab = await _watch(c, 2, stream_id, _token(bob))
        nobody = [await _watch(c, 1, stream_id), await _watch(c, 1, stream_id)]
        everybody = [*ada_tabs, bobs_tab, *nobody]
        for viewer in everybody:
            await viewer.until(lambda v: _count(v) == (4, False), timeout_s=TOLD_S)
        assert await _asked(c, stream_id) == {4}

        await nobody[0].cut()
        await ada_tabs[0].until(lambda v: _count(v) == (3, False), timeout_s=TOLD_S)

        c.gateways[2].kill()
        await ada_tabs[0].until(lambda v: _count(v) == (2, False), timeout_s=GONE_S)
        await ada_tabs[1].until(lambda v: _count(v) == (2, False), timeout_s=TOLD_S)
        assert await _asked(c, stream_id) == {2}

        c.gateways[2].start()
        await c.gateways[2].ready()
        again = await _watch(c, 2, stream_id)
        await again.until(lambda v: _count(v) == (3, False), timeout_s=TOLD_S)
        assert all(not viewer.faults for viewer in everybody)


async def test_above_the_bound_counts_are_marked_approximate(nats_server: NatsServer, tmp_path: Path) -> None:
    """With a bound of 16, twenty people on each of two gateways, all of them on both, are about twenty."""
    async with cluster(nats_server, tmp_path, gateways=2, archive=False, presence_exact=16) as c, Client(c.url(0)) as client:
        stream_id = (await (await client.guest()).start())["stream_id"]
        viewers = []
        for _ in range(20):
            token = _token(await client.guest())
            viewers += [await _watch(c, gateway, stream_id, token) for gateway in range(2)]
        await viewers[0].until(lambda v: _count(v) == (20, True))
        await viewers[1].until(lambda v: _count(v) == (20, True))


async def test_taps_on_all_gateways_reach_all_pages(nats_server: NatsServer, tmp_path: Path) -> None:
    """Answers and pages end with the exact totals; bursts add up to them; totals never go back on any page."""
    async with cluster(nats_server, tmp_path, gateways=3, archive=False, limit_reactions="1000/1") as c:
        async with Client(c.url(0)) as client:
            stream_id = (await (await client.guest()).start())["stream_id"]
            viewers = [await _watch(c, gateway, stream_id) for gateway in range(3)]
            clients = [Client(c.url(gateway), _token(client)) for gateway in range(3)]

            async def tap(number: int) -> int:
                kind = "like" if number % 3 else "love"
                answer = await clients[number % 3].http.post(f"/streams/{stream_id}/reactions", json={"reaction_type": kind})
                assert answer.status_code == 200, answer.text
                total: int = answer.json()["total_reactions"][kind]
                return total

            totals = await asyncio.gather(*(tap(number) for number in range(300)))
            assert max(totals) <= 200
            assert await tap(1) == 201
            for viewer in viewers:
                await viewer.until(lambda v: _totals(v)[-1:] == [{"like": 201, "love": 100}])
                bursts = [event.data["counts"] for event in viewer.events if event.name == "reactions"]
                assert sum(burst.get("like", 0) for burst in bursts) == 201
                likes = [totals.get("like", 0) for totals in _totals(viewer)]
                assert likes == sorted(likes)
            assert [(await each.http.get(f"/streams/{stream_id}")).json()["reaction_count"] for each in clients] == [301] * 3
            for each in clients:
                await each.http.aclose()


def _totals(viewer: Viewer) -> list[dict[str, int]]:
    return [event.data["totals"] for event in viewer.events if event.name == "reactions"]


async def test_viewers_and_totals_come_back_with_the_broker(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Through an outage longer than the expiry pages keep their counts; what changed meanwhile is shown soon after it."""
    async with cluster(own_nats_server, tmp_path, gateways=2, archive=False) as c, Client(c.url(0)) as client:
        stream_id = (await (await client.guest()).start())["stream_id"]
        viewers = [await _watch(c, gateway, stream_id) for gateway in (0, 1, 1)]
        await viewers[0].until(lambda v: _count(v) == (3, False))
        own_nats_server.kill()
        began = len(viewers[0].events)
        async with Client(c.url(0)) as second:
            await eventually(lambda: "nats away" in c.gateways[0].text)
            await viewers[2].cut()
            down = asyncio.get_running_loop().time()
            await eventually(lambda: asyncio.get_running_loop().time() > down + 4.5)
            assert (await second.http.get(f"/streams/{stream_id}/watch")).json()["viewer_count"] == 3
        own_nats_server.start()

        await viewers[0].until(lambda v: _count(v) == (2, False))
        counts = [event.data["count"] for event in viewers[0].events[began:] if event.name == "viewers"]
        assert counts == [2]


async def test_totals_that_were_missed_are_told_after_the_link_is_back(nats_server: NatsServer, tmp_path: Path) -> None:
    """A gateway that was cut off while another one counted shows the totals on its return, before anybody taps again."""
    async with FaultProxy.before(nats_server.port) as proxy:
        through = f"nats://127.0.0.1:{proxy.port}"
        async with cluster(nats_server, tmp_path, gateways=2, archive=False, nats_urls=(nats_server.url, through)) as c:
            async with Client(c.url(0)) as client:
                stream_id = (await (await client.guest()).start())["stream_id"]
                viewer = await _watch(c, 1, stream_id)
                proxy.cut()
                await eventually(lambda: "nats away" in c.gateways[1].text)
                for _ in range(3):
                    await client.http.post(f"/streams/{stream_id}/reactions", json={"reaction_type": "wow"})
                assert _totals(viewer) == []
                proxy.heal()

                await viewer.until(lambda v: _totals(v) == [{"wow": 3}])


async def test_a_change_in_a_large_crowd_is_shown_elsewhere(nats_server: NatsServer) -> None:
    """Though such a crowd is told only twice a second, and every telling waits for the one before it."""
    shown: dict[str, int] = {}
    stream_id = fresh_stream()
    async with broker(nats_server.url) as b:
        gateways = [Presence(fresh_stream(), b.clock, 1024) for _ in range(2)]
        announcers = [
            Announcer(presence, b.feed, lambda s, count, _, n=n: shown.update({f"{n}{s}": count}))  # type: ignore[misc]  # bound at once
            for n, presence in enumerate(gateways)
        ]
        for announcer in announcers:
            await announcer.start()
        for n in range(200):
            gateways[0].join(stream_id, person(f"p{n}"))
        await eventually(lambda: shown.get(f"1{stream_id}") == 200)
        for n in range(200, 203):
            gateways[0].join(stream_id, person(f"p{n}"))
            await eventually(lambda n=n: shown.get(f"1{stream_id}") == n + 1, timeout=TOLD_S)  # type: ignore[misc]  # bound at once
        for announcer in announcers:
            await announcer.stop()
