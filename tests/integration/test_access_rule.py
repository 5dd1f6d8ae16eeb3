"""One rule for every route: each way to a stream, for each kind of viewer, at each privacy.

The routes are those of the route table itself: one that is added without a line here fails, and one whose line says that it
concerns a stream has to keep the rule.
"""

import time
from collections.abc import AsyncIterator
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio

from gateway.app import routes
from tests.backends.nats import NatsServer
from tests.broker import broker
from tests.cluster import cluster
from tests.hls.scripted import Scripted
from tests.hls.stage import PART
from tests.privacy import People, people
from tests.socketviewer import SocketViewer
from tests.viewer import Viewer
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.asyncio(loop_scope="module")]

#: Routes that concern no stream that is there already.
NO_STREAM = {
    "GET /api/v1/openapi.json",
    "POST /api/v1/session",
    # It shows what the rule shows: below.
    "GET /api/v1/streams",
    "POST /api/v1/streams/start",
    "GET /api/v1/users/{user_id:path}/follow",
    "PUT /api/v1/users/{user_id:path}/follow",
    "DELETE /api/v1/users/{user_id:path}/follow",
    # One page for all addresses, which knows of no stream.
    "GET /",
    "GET /watch/{stream_id}",
    "GET /watch/{stream_id}/",
    "GET /assets/{name}",
    "GET /{name}",
    # Only those who come without an upgrade; the WebSocket itself keeps the rule as its commands come.
    "GET /api/v1/ws",
}
_S = "/api/v1/streams/{stream_id}"
#: Method and path of all others -> a body, where it takes one. Whoever may not watch is answered 404 to each of them.
STREAM: dict[str, object] = {
    f"GET {_S}": None,
    f"PATCH {_S}": {"title": "Theirs"},
    f"DELETE {_S}": None,
    f"POST {_S}/start": None,
    f"POST {_S}/end": None,
    f"GET {_S}/watch": None,
    f"GET {_S}/recording": None,
    f"POST {_S}/key": None,
    f"POST {_S}/ticket": None,
    f"GET {_S}/invitations": None,
    f"PUT {_S}/invitations/{{user_id:path}}": None,
    f"DELETE {_S}/invitations/{{user_id:path}}": None,
    f"GET {_S}/comments": None,
    f"POST {_S}/comments": {"text": "hello"},
    f"GET {_S}/comments/{{comment_id}}": None,
    f"DELETE {_S}/comments/{{comment_id}}": None,
    f"GET {_S}/comments/{{comment_id}}/replies": None,
    f"POST {_S}/reactions": {"reaction_type": "like"},
    f"GET {_S}/events": None,
    f"GET {_S}/replay": None,
    "GET /hls/{stream_id}/{path:path}": None,
}
#: What nobody could ask twice.
FINAL = (f"POST {_S}/end", f"DELETE {_S}")
KINDS = ("nobody", "eve", "fay", "ivy", "mo", "ada")
#: Fay follows Ada, Ivy is invited, Mo moderates, the stream is Ada's.
MAY = {
    "public": set(KINDS),
    "followers": {"fay", "mo", "ada"},
    "private": {"ivy", "mo", "ada"},
}


NOWHERE = "0190aaaa-0000-7000-8000-00000000dead"


class Show(NamedTuple):
    """A stream with a comment and video, and the people around it."""

    p: People
    stream_id: str
    comment_id: str


async def test_every_route_is_here() -> None:
    """A new route says what it is: no stream's, or one that the rule is kept for."""
    there = {f"{method} {route.path}" for route in routes() for method in (route.methods or set()) - {"HEAD"}}
    assert there == NO_STREAM | STREAM.keys()


@pytest_asyncio.fixture(name="shows", scope="module", loop_scope="module")
async def _shows(nats_server: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Show]]:
    """One stream of each privacy."""
    folder = tmp_path_factory.mktemp("rule")
    async with (
        cluster(nats_server, folder, limit_grants="1000/1", limit_reactions="1000/1") as c,
        people(c, "eve", "fay", "ivy") as p,
        broker(nats_server.url, apply=False) as b,
    ):
        await p.follow("fay")
        found, workers = {}, []
        for privacy in MAY:
            stream_id = await p.start(privacy)
            await p.invite(stream_id, "ivy")
            said = (await p["ada"].post(stream_id, "welcome")).json()
            worker = await Scripted(stream_id, "w").start()
            worker.piece("source/part-1.m4s", PART)
            await worker.own(b, 1)
            workers.append(worker)
            found[privacy] = Show(p, stream_id, said["comment_id"])

        async def video() -> bool:
            return all([(await _hls(show, "ada")).status_code == 200 for show in found.values()])

        await eventually(video)
        yield found
        for worker in workers:
            await worker.stop()


@pytest.mark.parametrize("call", STREAM)
@pytest.mark.parametrize("privacy", MAY)
async def test_the_rule_is_kept(shows: dict[str, Show], privacy: str, call: str) -> None:
    """Whoever may not watch gets the answer of a stream that does not exist, word for word; all others do not."""
    show = shows[privacy]
    for kind in KINDS:
        if kind in MAY[privacy]:
            if call not in FINAL or kind not in ("ada", "mo"):
                answer = await _ask(show, kind, call, show.stream_id)
                # A recording that is not there yet is 404 as well, in other words.
                if answer.status_code != 404 or "recording" not in answer.text:
                    assert answer.status_code not in (404, 503), (kind, answer.text)
            continue
        answer = await _ask(show, kind, call, show.stream_id)
        same = await _ask(show, kind, call, NOWHERE)
        # What takes a credential says so before it looks at the stream.
        expected = 401 if kind == "nobody" and same.status_code == 401 else 404
        assert (answer.status_code, answer.text.replace(show.stream_id, NOWHERE)) == (expected, same.text), kind


async def _ask(show: Show, kind: str, call: str, stream_id: str) -> httpx.Response:
    method, _, path = call.partition(" ")
    if path.startswith("/hls/"):
        return await _hls(show, kind, stream_id)
    if path.endswith(("/events", "/replay")):
        return await _events(show, kind, stream_id, path.rpartition("/")[2])
    for name, value in (("stream_id", stream_id), ("comment_id", show.comment_id), ("user_id:path", "somebody")):
        path = path.replace(f"{{{name}}}", value)
    return await show.p[kind].http.request(method, show.p.c.url(0) + path, json=STREAM[call])


async def _hls(show: Show, kind: str, stream_id: str | None = None) -> httpx.Response:
    return await show.p[kind].http.get(f"{show.p.c.url(0)}/hls/{stream_id or show.stream_id}/source/part-1.m4s")


async def _events(show: Show, kind: str, stream_id: str, last: str) -> httpx.Response:
    """The status of what is said now or was said, and what is said where it is refused."""
    authorization = show.p[kind].http.headers.get("Authorization")
    headers = {"Authorization": authorization} if authorization else {}
    viewer = await Viewer(show.p.c.events(0, stream_id).replace("/events", f"/{last}"), headers=headers).open()
    if viewer.status != 200:
        await viewer.ended()
    await viewer.cut()
    return httpx.Response(viewer.status, content=viewer.body)


@pytest.mark.parametrize("kind", KINDS)
async def test_lists_show_what_may_be_watched(shows: dict[str, Show], kind: str) -> None:
    """Streams of others' circles are in no list."""
    p = shows["public"].p
    page = (await p[kind].http.get("/streams?status=live&limit=200")).json()
    listed = {each["stream_id"] for each in page["streams"]}
    for privacy, show in shows.items():
        assert (show.stream_id in listed) == (kind in MAY[privacy]), privacy


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("privacy", MAY)
async def test_sockets_keep_it_too(shows: dict[str, Show], privacy: str, kind: str) -> None:
    """Joining, posting and reacting over a WebSocket."""
    show = shows[privacy]
    authorization = show.p[kind].http.headers.get("Authorization")
    headers = {"Authorization": authorization} if authorization else {}
    viewer = await SocketViewer(show.p.c.url(0), headers=headers).open()
    await viewer.join(show.stream_id)
    may = kind in MAY[privacy]
    first = viewer.messages[0]
    assert (first["type"] == "comments_batch") == may, first
    if not may:
        assert first["code"] == "NOT_FOUND"
    ack = await viewer.post(f"hello from {kind} at {time.time()}")
    expected = None if may and kind != "nobody" else "UNAUTHORIZED" if kind == "nobody" else "NOT_FOUND"
    assert ack.get("code") == expected
    await viewer.cut()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("privacy", MAY)
async def test_signed_addresses_are_given_to_those_who_may(shows: dict[str, Show], privacy: str, kind: str) -> None:
    """In `watch` and in the stream itself; public streams keep their plain address, which a CDN can share."""
    show = shows[privacy]
    watch = await show.p[kind].http.get(f"/streams/{show.stream_id}/watch")
    assert watch.status_code == (200 if kind in MAY[privacy] else 404)
    if watch.status_code == 200:
        stream = (await show.p[kind].http.get(f"/streams/{show.stream_id}")).json()
        for url in (watch.json()["hls_url"], stream["stream_url"]):
            assert ("/~" in url) == (privacy != "public")
            piece = url.replace("master.m3u8", "source/part-1.m4s")
            # Without any credential of its own.
            assert (await show.p["nobody"].http.get(piece)).content == PART
