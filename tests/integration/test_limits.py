"""Limits: exact over all gateways in any window, by standing, and nobody passes a limiter that cannot answer."""

import asyncio
import secrets
import time
from pathlib import Path

import httpx
import jwt
import pytest

from infra.errors import Unavailable
from infra.limit import Limit
from schemas import codec, subjects
from schemas.items import Comment
from tests.backends.nats import NatsServer
from tests.broker import broker
from tests.cluster import cluster
from tests.processes import Client
from tests.waits import eventually

pytestmark = pytest.mark.nats


async def test_a_limiter_that_cannot_answer_lets_nobody_pass(own_nats_server: NatsServer) -> None:
    """With the broker away, and with its log missing, taking a token ends with Unavailable."""
    async with broker(own_nats_server.url, wait_s=2.0) as b:
        await b.limits.take("user_stream", Limit(5, 30), ("s", "u"), "k0")
        await b.connection.request("$JS.API.STREAM.DELETE.LIMITS_user_stream")
        with pytest.raises(Unavailable):
            await b.limits.take("user_stream", Limit(5, 30), ("s", "u"), "k1")

        own_nats_server.kill()
        await eventually(lambda: not b.connection.up.is_set())
        with pytest.raises(Unavailable):
            await b.limits.take("user_stream", Limit(5, 30), ("s", "u"), "k2")


async def test_windows_outlive_the_broker(own_nats_server: NatsServer) -> None:
    """Tokens are kept through a crash: the window does not begin anew."""
    async with broker(own_nats_server.url) as b:
        for n in range(5):
            await b.limits.take("user_stream", Limit(5, 30), ("s", "u"), f"k{n}")
        own_nats_server.kill()
        own_nats_server.start()
        await eventually(b.connection.up.is_set)
        with pytest.raises(Exception, match="limit user_stream reached"):
            await b.limits.take("user_stream", Limit(5, 30), ("s", "u"), "k9")


async def test_no_window_ever_holds_more(nats_server: NatsServer, tmp_path: Path) -> None:
    """50 people post on 4 gateways at once until each was heard three windows' worth: never more than 5 in any 3 s."""
    count, window_s, people = 5, 3, 50
    async with cluster(nats_server, tmp_path, gateways=4, limits="1000/1", limit_user_stream=f"{count}/{window_s}") as c:
        async with await Client(c.url(0)).guest("Creator") as creator:
            stream_id = (await creator.start())["stream_id"]
            names = [f"Person {n}" for n in range(people)]
            guests = [await creator.http.post("/session", json={"name": name}) for name in names]
        https = [httpx.AsyncClient(base_url=f"{c.url(n)}/api/v1/streams/{stream_id}", timeout=60) for n in range(4)]
        headers = [{"Authorization": f"Bearer {guest.json()['token']}"} for guest in guests]
        refused = sum(await asyncio.gather(*(_insist(https, each, 3 * count) for each in headers)))
        await asyncio.gather(*(http.aclose() for http in https))
        async with broker(c.nats_url, apply=False) as b:
            messages = await b.reader.follow_from(subjects.live_log(0), subjects.live(0, stream_id), 0)

    heard: dict[str, list[int]] = {}
    for message in messages:
        item = codec.decode_item(message.payload)
        assert isinstance(item, Comment)
        heard.setdefault(item.user.id, []).append(message.at_ms)
    assert people == len(heard)
    for times in heard.values():
        assert 3 * count <= len(times)
        # The sixth is at least a window after the first, wherever one begins to count.
        assert window_s * 1000 <= min(later - first for first, later in zip(times, times[count:], strict=False))
    assert refused > people


async def _insist(https: list[httpx.AsyncClient], headers: dict[str, str], wanted: int) -> int:
    """Post on all gateways at once, again and again, until *wanted* comments were taken; how many were refused."""
    taken = refused = 0
    while taken < wanted:
        posts = (http.post("/comments", json={"text": "me again"}, headers=headers) for http in https)
        statuses = [answer.status_code for answer in await asyncio.gather(*posts)]
        assert set(statuses) <= {201, 429}
        taken += statuses.count(201)
        refused += statuses.count(429)
    return refused


async def test_who_waits_as_told_is_not_refused_again(nats_server: NatsServer, tmp_path: Path) -> None:
    """Per stream, over all, in slow mode and for reactions, on another gateway: `retry_after` seconds are enough."""
    async with (
        cluster(nats_server, tmp_path, gateways=2, limit_user_stream="2/2", limit_user="4/3", limit_reactions="2/1") as c,
        await Client(c.url(0)).guest() as creator,
    ):
        one, two, three, slow = [(await creator.start())["stream_id"] for _ in range(4)]
        assert (await creator.http.patch(f"/streams/{slow}", json={"settings": {"slow_mode_s": 1}})).status_code == 200

        async def waits(streams: list[str], call: str, body: dict[str, str]) -> None:
            async with await Client(c.url(0)).guest() as here, Client(c.url(1), _token(here)) as there:
                for stream_id in streams[:-1]:
                    assert (await here.http.post(f"/streams/{stream_id}/{call}", json=body)).status_code in (200, 201)
                refused = await here.http.post(f"/streams/{streams[-1]}/{call}", json=body)
                assert "RATE_LIMITED" == _told(refused)
                told = time.monotonic() + refused.json()["retry_after"]
                await eventually(lambda: time.monotonic() >= told)
                taken = await there.http.post(f"/streams/{streams[-1]}/{call}", json=body)
                assert taken.status_code in (200, 201), taken.text

        said = {"text": "again"}
        await asyncio.gather(
            waits([one] * 3, "comments", said),
            waits([one, one, two, two, three], "comments", said),
            waits([slow] * 2, "comments", said),
            waits([one] * 3, "reactions", {"reaction_type": "like"}),
        )


async def test_each_standing_has_its_limit(nats_server: NatsServer, tmp_path: Path) -> None:
    """10, 5 and 2 in 30 s over two gateways: by role, for a guest and for a young account; the creator is no exception."""
    secret = secrets.token_hex(32)
    now = int(time.time())

    def token(**claims: object) -> str:
        return jwt.encode({"sub": secrets.token_hex(8), "aud": "ovation", "exp": now + 600, **claims}, secret, "HS256")

    standings = {
        token(roles=["verified"]): 10,
        token(roles=["moderator"], account_created_at=now): 10,
        token(account_created_at=now - 23 * 3600): 2,
        token(account_created_at=now - 25 * 3600): 5,
        token(): 5,
    }
    async with (
        cluster(nats_server, tmp_path, gateways=2, limits="5/30", limit_user="100/60", jwt_secret=secret) as c,
        await Client(c.url(0)).guest() as creator,
    ):
        stream_id = (await creator.start())["stream_id"]
        mine = creator.http.headers["Authorization"].removeprefix("Bearer ")
        for person, expected in {**standings, mine: 5}.items():
            async with Client(c.url(0), person) as here, Client(c.url(1), person) as there:
                answers = await asyncio.gather(*(who.post(stream_id, f"n{n}") for n in range(7) for who in (here, there)))
            assert sorted([201] * expected + [429] * (14 - expected)) == sorted(each.status_code for each in answers)


async def test_the_same_is_said_once(nats_server: NatsServer, tmp_path: Path) -> None:
    """With OVATION_DUPLICATE_S, over two gateways: once per person, stream and text; refusals are free, retries are retries."""
    async with (
        cluster(nats_server, tmp_path, gateways=2, limits="5/30", limit_user="100/60", duplicate_s=60) as c,
        await Client(c.url(0)).guest() as creator,
        await Client(c.url(0)).guest() as ada,
        await Client(c.url(0)).guest() as bob,
        Client(c.url(1), ada.http.headers["Authorization"].removeprefix("Bearer ")) as elsewhere,
    ):
        one, two = [(await creator.start())["stream_id"] for _ in range(2)]
        at_once = await asyncio.gather(*(who.post(one, "spam", f"k{n}") for n in range(2) for who in (ada, elsewhere)))
        # The one that was first, its retry on the other gateway, and the other key's two.
        codes = [_told(answer) for answer in at_once]
        assert {"201", "200", "DUPLICATE"} >= set(codes)
        assert 1 == codes.count("201")
        first: dict[str, object] = next(answer.json() for answer in at_once if answer.status_code == 201)

        assert "DUPLICATE" == _told(await elsewhere.post(one, " spam\n", "k8"))
        assert "DUPLICATE" == _told(await ada.post(one, "spam"))
        retries = [await elsewhere.post(one, "spam", f"k{n}") for n in range(2)]
        assert ["200", "DUPLICATE"] == sorted(_told(answer) for answer in retries)
        assert [first["comment_id"]] == [answer.json()["comment_id"] for answer in retries if answer.status_code == 200]
        assert ["201"] * 3 == [
            _told(await ada.post(two, "spam")), _told(await bob.post(one, "spam")), _told(await ada.post(one, "other")),
        ]  # fmt: skip
        assert ["201", "201"] == [_told(await creator.post(one, "rules")) for _ in range(2)]


async def test_unless_it_is_asked_for_the_same_may_be_said_again(nats_server: NatsServer, tmp_path: Path) -> None:
    """A post without a key is a new comment each time, and a comment is three publishes."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        async with broker(c.nats_url, apply=False) as b:
            published: list[str] = []
            for pattern in ("limit.>", "live.>"):
                await b.feed.listen(pattern, lambda subject, _: published.append(subject))
            assert [201, 201] == [(await ada.post(stream_id, "hello")).status_code for _ in range(2)]
            await eventually(lambda: sum(subject.startswith("live") for subject in published) == 2)

            assert ["limit.user_stream", "limit.user", f"live.0.{stream_id}"] * 2 == [
                subject.rpartition(".")[0] if subject.startswith("limit") else subject for subject in published
            ]


def _token(client: Client) -> str:
    token: str = client.http.headers["Authorization"].removeprefix("Bearer ")
    return token


def _told(answer: httpx.Response) -> str:
    """A problem's code, or the status of what is none."""
    code: str = answer.json().get("code", str(answer.status_code))
    if code == "DUPLICATE":
        assert (422, False, "text") == (answer.status_code, answer.json()["retryable"], answer.json()["field"])
    return code
