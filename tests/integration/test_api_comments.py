"""Comments over the API of two real gateways: posted once, limited exactly, paged without repeating or skipping."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends.nats import NatsServer
from tests.cluster import Cluster, cluster
from tests.processes import Client

pytestmark = pytest.mark.nats


def _code(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and field of a problem."""
    problem: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, problem["code"], problem.get("field")


def _as(client: Client, c: Cluster, gateway: int) -> Client:
    """The same person on another gateway."""
    return Client(c.url(gateway), client.http.headers["Authorization"].removeprefix("Bearer "))


async def test_a_key_is_one_comment(nats_server: NatsServer, tmp_path: Path) -> None:
    """Again here, again there: 200 and the same comment. Another text: 422. No key: a new comment each time."""
    async with cluster(nats_server, tmp_path, gateways=2) as c, await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        first = await ada.post(stream_id, "hello", "key")
        again = await ada.post(stream_id, "hello", "key")
        async with _as(ada, c, 1) as elsewhere:
            there = await elsewhere.post(stream_id, "hello", "key")
            other = await elsewhere.post(stream_id, "bye", "key")
        bare = [(await ada.post(stream_id, "hello")).json()["comment_id"] for _ in range(2)]

        assert (201, 200, 200) == (first.status_code, again.status_code, there.status_code)
        assert first.json() == again.json() == there.json()
        assert (422, "VALIDATION", "Idempotency-Key") == _code(other)
        assert 3 == len({first.json()["comment_id"], *bare})


async def test_the_same_key_in_two_streams_is_two_comments(nats_server: NatsServer, tmp_path: Path) -> None:
    """Streams share a log and its duplicate window; a key belongs to one stream and one person."""
    async with (
        cluster(nats_server, tmp_path) as c,
        await Client(c.url(0)).guest() as ada,
        await Client(c.url(0)).guest() as bob,
    ):
        streams = [(await ada.start())["stream_id"] for _ in range(2)]
        answers = [await who.post(stream_id, "hello", "key") for who in (ada, bob) for stream_id in streams]

        assert [201] * 4 == [answer.status_code for answer in answers]
        for stream_id in streams:
            page = (await ada.http.get(f"/streams/{stream_id}/comments")).json()
            assert 2 == page["total"]


async def test_a_key_is_known_after_the_log_forgot_it(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Archived, and gone from the log: a retry is still the same comment."""
    async with cluster(own_nats_server, tmp_path) as c, await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        first = await ada.post(stream_id, "hello", "key")
        await c.archived(stream_id, 1)
        await c.purge_live_log()
        again = await ada.post(stream_id, "hello", "key")

        assert 200 == again.status_code
        assert first.json() == again.json()


async def test_limits_are_exact_and_refusals_free(nats_server: NatsServer, tmp_path: Path) -> None:
    """Thirty posts at once over two gateways: five pass. The others spend nothing of the wider limit; a retry is free."""
    async with (
        cluster(nats_server, tmp_path, gateways=2, limits="5/30", limit_user="10/60") as c,
        await Client(c.url(0)).guest() as ada,
        _as(ada, c, 1) as elsewhere,
    ):
        one, two = [(await ada.start())["stream_id"] for _ in range(2)]
        answers = await asyncio.gather(*(who.post(one, f"c{n}", f"k{n}") for n in range(15) for who in (ada, elsewhere)))
        refused = [answer for answer in answers if answer.status_code == 429]
        accepted = {answer.json()["text"] for answer in answers if answer.status_code in (200, 201)}

        assert 5 == len(accepted)
        for answer in refused:
            assert 1 <= answer.json()["retry_after"] <= 30
            assert answer.headers["retry-after"] == str(answer.json()["retry_after"])
        text = accepted.pop()
        assert 200 == (await elsewhere.post(one, text, f"k{text[1:]}")).status_code
        assert [201] * 5 == [(await ada.post(two, f"d{n}")).status_code for n in range(5)]


async def test_slow_mode_and_banned_words_hold(nats_server: NatsServer, tmp_path: Path) -> None:
    """Set by the creator: one comment per viewer in the time, told how long to wait; a banned word in any dress is refused."""
    async with (
        cluster(nats_server, tmp_path) as c,
        await Client(c.url(0)).guest() as ada,
        await Client(c.url(0)).guest() as bob,
    ):
        stream_id = (await ada.start())["stream_id"]
        change = {"settings": {"slow_mode_s": 30, "banned_words": ["spoiler"]}}
        assert (await ada.http.patch(f"/streams/{stream_id}", json=change)).status_code == 200
        first = await bob.post(stream_id, "one", "k1")
        slow = await bob.post(stream_id, "two", "k2")
        again = await bob.post(stream_id, "one", "k1")
        banned = await ada.post(stream_id, "a S\u200bPOI\u0301LER, sorry")

        assert (201, 200) == (first.status_code, again.status_code)
        assert (429, "RATE_LIMITED", None) == _code(slow)
        assert (422, "CONTENT_VIOLATION", "text") == _code(banned)
        assert [201, 201] == [(await ada.post(stream_id, f"creator {n}")).status_code for n in range(2)]


async def test_threads_are_one_level_deep(nats_server: NatsServer, tmp_path: Path) -> None:
    """A reply to a reply belongs to the root; a parent that is missing, removed or elsewhere is refused."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as ada:
        stream_id, other = [(await ada.start())["stream_id"] for _ in range(2)]
        root = (await ada.post(stream_id, "root")).json()["comment_id"]
        reply = (await ada.post(stream_id, "reply", parent_comment_id=root)).json()
        deeper = (await ada.post(stream_id, "deeper", parent_comment_id=reply["comment_id"])).json()
        gone = (await ada.post(stream_id, "gone")).json()["comment_id"]
        await ada.http.delete(f"/streams/{stream_id}/comments/{gone}")
        thread = (await ada.http.get(f"/streams/{stream_id}/comments/{root}/replies")).json()

        assert root == reply["parent_comment_id"] == deeper["parent_comment_id"]
        assert ["reply", "deeper"] == [each["text"] for each in thread["comments"]]
        for parent in (gone, "1", "x", "*"):
            assert (422, "VALIDATION", "parent_comment_id") == _code(await ada.post(stream_id, "r", parent_comment_id=parent))
        assert 422 == (await ada.post(other, "r", parent_comment_id=root)).status_code
        assert 204 == (await ada.http.delete(f"/streams/{stream_id}/comments/{root}")).status_code
        # The root would be the parent of each of them.
        for parent in (root, reply["comment_id"], deeper["comment_id"]):
            assert (422, "VALIDATION", "parent_comment_id") == _code(await ada.post(stream_id, "r", parent_comment_id=parent))
        kept = (await ada.http.get(f"/streams/{stream_id}/comments/{root}/replies")).json()
        assert ["reply", "deeper"] == [each["text"] for each in kept["comments"]]


async def test_removing_is_for_few_and_idempotent(nats_server: NatsServer, tmp_path: Path) -> None:
    """The author and the creator may, others 403; a second time is 204; what is not there is 404."""
    async with (
        cluster(nats_server, tmp_path) as c,
        await Client(c.url(0)).guest() as ada,
        await Client(c.url(0)).guest() as bob,
        await Client(c.url(0)).guest() as eve,
    ):
        stream_id = (await ada.start())["stream_id"]
        said = f"/streams/{stream_id}/comments/{(await bob.post(stream_id, 'mine')).json()['comment_id']}"
        too = f"/streams/{stream_id}/comments/{(await bob.post(stream_id, 'also mine')).json()['comment_id']}"

        assert (403, "FORBIDDEN", None) == _code(await eve.http.delete(said))
        assert [204, 204] == [(await bob.http.delete(said)).status_code for _ in range(2)]
        assert 204 == (await ada.http.delete(too)).status_code
        assert (404, "NOT_FOUND", None) == _code(await ada.http.delete(f"/streams/{stream_id}/comments/17"))
        assert ["creator", "author"] == [
            each["reason"] for each in (await ada.http.get(f"/streams/{stream_id}/comments")).json()["comments"]
        ]


@pytest.mark.parametrize("sort", ["asc", "desc"])
async def test_pages_hold_while_comments_are_posted(nats_server: NatsServer, tmp_path: Path, sort: str) -> None:
    """Walking by cursor while others post: no comment twice, none skipped of those that were there at the start."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        before = [(await ada.post(stream_id, f"c{n}")).json()["seq"] for n in range(60)]
        posting = asyncio.create_task(_post_on(ada, stream_id, 40))
        seen: list[int] = []
        cursor = None
        while True:
            params = {"limit": "7", "sort": sort} | ({"cursor": cursor} if cursor else {})
            page = (await ada.http.get(f"/streams/{stream_id}/comments", params=params)).json()
            seen += [each["seq"] for each in page["comments"]]
            cursor = page["next_cursor"]
            if cursor is None and (sort == "desc" or posting.done()):
                break
            if cursor is None:
                await posting
                break
        await posting

        assert len(seen) == len(set(seen))
        assert sorted(seen, reverse=sort == "desc") == seen
        assert set(before) <= set(seen)


async def _post_on(client: Client, stream_id: str, count: int) -> None:
    for n in range(count):
        assert (await client.post(stream_id, f"late {n}")).status_code == 201


async def test_a_page_can_begin_anywhere(nats_server: NatsServer, tmp_path: Path) -> None:
    """By a comment's id, by offset, by time; bounds are checked."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        posts = [(await ada.post(stream_id, f"c{n}")).json() for n in range(6)]
        url = f"/streams/{stream_id}/comments"

        async def texts(**params: str) -> list[str]:
            return [each["text"] for each in (await ada.http.get(url, params=params)).json()["comments"]]

        assert ["c2", "c1", "c0"] == await texts(cursor=posts[3]["comment_id"])
        assert ["c5", "c4"] == await texts(cursor="", limit="2")
        assert ["c3", "c2"] == await texts(offset="2", limit="2")
        assert ["c4", "c5"] == await texts(sort="asc", from_time=posts[4]["at"])
        assert ["c0", "c1"] == await texts(sort="asc", to_time=posts[2]["at"])
        for name, value in (
            ("limit", "0"),
            ("limit", "201"),
            ("offset", "10001"),
            ("cursor", "!"),
            ("from_time", "x"),
            ("sort", "up"),
        ):
            assert (422, "VALIDATION", name) == _code(await ada.http.get(url, params={name: value}))


async def test_an_ended_stream_takes_no_more_but_knows_its_own(nats_server: NatsServer, tmp_path: Path) -> None:
    """409 for a new comment; a retry of an accepted one is still answered; ending twice is the same."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as ada:
        stream_id = (await ada.start())["stream_id"]
        await ada.post(stream_id, "in time", "key")
        ends = [(await ada.http.post(f"/streams/{stream_id}/end")).json() for _ in range(2)]

        assert ends[0]["ended_at"] == ends[1]["ended_at"]
        assert ("ended", 1) == (ends[0]["status"], ends[0]["total_comments"])
        assert (409, "STREAM_ENDED", None) == _code(await ada.post(stream_id, "too late"))
        assert 200 == (await ada.post(stream_id, "in time", "key")).status_code
