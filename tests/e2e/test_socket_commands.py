"""What is said to a gateway over WebSocket: posts and their acks, credentials, and everything malformed."""

import json
import secrets
import time
from pathlib import Path

import httpx
import jwt
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.backends.nats import NatsServer
from tests.cluster import cluster
from tests.processes import Client
from tests.socketviewer import SocketViewer
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.e2e]

#: A message as a client frames it, masked with zeros.
LEAVE = b"\x81\x97\0\0\0\0" + b'{"type":"leave_stream"}'
NOWHERE = "018bcfe5-6800-7bb6-bc13-d949c5118ce2"


async def test_posts_are_acknowledged_once_durable(nats_server: NatsServer, tmp_path: Path) -> None:
    """An ack names the comment of the log; the same key again is the same comment, over HTTP too, and costs nothing."""
    async with cluster(nats_server, tmp_path, gateways=2, limits="3/300") as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        viewer = SocketViewer(c.url(0), query=await host.ticket(stream_id))
        await (await viewer.open()).join(stream_id)
        ack = await viewer.post("hello", "one")
        again = await viewer.post("hello", "one")
        over_http = (await host.post(stream_id, "hello", "one")).json()
        other = await viewer.post("other text", "one")
        reply = await viewer.post("a reply", "two", parent_id=ack["comment_id"])
        orphan = await viewer.post("a reply", "three", parent_id="1")
        third = await viewer.post("three", "four")
        limited = await viewer.post("four", "five")
        await viewer.until(lambda v: len(v.texts) == 3)

        assert ack == {
            "type": "ack",
            "idempotency_key": "one",
            "comment_id": ack["comment_id"],
            "seq": ack["seq"],
            "status": "accepted",
        }
        assert again == ack
        assert (over_http["comment_id"], over_http["seq"]) == (ack["comment_id"], ack["seq"])
        assert (other["status"], other["code"], other["seq"]) == ("rejected", "VALIDATION", None)
        assert (orphan["status"], orphan["code"]) == ("rejected", "VALIDATION")
        assert viewer.items[1]["parent_comment_id"] == ack["comment_id"]
        assert [ack["seq"], reply["seq"], third["seq"]] == viewer.seqs
        assert (limited["status"], limited["code"]) == ("rate_limited", "RATE_LIMITED")
        assert 1 <= limited["retry_after"] <= 300


async def test_an_ack_means_durable(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """While the broker is away nothing is acknowledged; the same key afterwards posts the comment once."""
    async with cluster(own_nats_server, tmp_path, publish_wait_s=1) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        viewer = SocketViewer(c.url(0), query=await host.ticket(stream_id))
        await (await viewer.open()).join(stream_id)
        own_nats_server.kill()
        ack = await viewer.post("hello", "one")

        assert (ack["status"], ack["code"], ack["seq"]) == ("rejected", "UNAVAILABLE", None)

        own_nats_server.start()

        async def accepted() -> bool:
            return str((await viewer.post("hello", "one"))["status"]) == "accepted"

        await eventually(accepted)
        await viewer.until(lambda v: v.texts == ["hello"])
        assert viewer.faults == []


async def test_credentials_decide_before_and_after_the_upgrade(nats_server: NatsServer, tmp_path: Path) -> None:
    """A bad one is a 401 before the upgrade; a ticket is for its stream; a cookie reads; without one public streams."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as host:
        stream_id, other = [(await host.start())["stream_id"] for _ in range(2)]
        for query, headers in (("?ticket=nonsense", {}), ("", {"Authorization": "Bearer nonsense"})):
            with pytest.raises(InvalidStatus) as refused:
                await SocketViewer(c.url(0), query=query, headers=headers).open()

            assert refused.value.response.status_code == 401
            assert json.loads(refused.value.response.body)["code"] == "UNAUTHORIZED"

        anyone = await (await SocketViewer(c.url(0)).open()).join(stream_id)
        assert anyone.of("comments_batch")
        for unknown in (NOWHERE, "nonsense"):
            await anyone.join(unknown)
        assert [e["code"] for e in anyone.of("error")] == ["NOT_FOUND"] * 2
        assert (await anyone.post("hi", stream_id=stream_id))["code"] == "UNAUTHORIZED"

        ticket = await (await SocketViewer(c.url(0), query=await host.ticket(stream_id)).open()).join(stream_id)
        assert ticket.of("comments_batch")
        assert (await ticket.post("mine"))["status"] == "accepted"
        assert (await ticket.post("not here", stream_id=other))["code"] == "UNAUTHORIZED"
        await ticket.join(other)
        assert ticket.of("error")[-1]["code"] == "UNAUTHORIZED"

        token = host.http.headers["Authorization"]
        full = await SocketViewer(c.url(0), headers={"Authorization": token}).open()
        for each in (stream_id, other):
            await full.join(each)
            assert (await full.post("with a token"))["status"] == "accepted"

        cookie = await SocketViewer(c.url(0), headers={"Cookie": f"ovation_session={token.partition(' ')[2]}"}).open()
        await cookie.join(stream_id)
        assert cookie.of("comments_batch")
        assert (await cookie.post("by cookie"))["code"] == "UNAUTHORIZED"


async def test_a_connection_ends_with_its_credential(nats_server: NatsServer, tmp_path: Path) -> None:
    """Cut within a second or two of `exp`, with a close code of its own; also when it watches nothing."""
    secret = secrets.token_hex(32)
    async with cluster(nats_server, tmp_path, jwt_secret=secret) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        ends = int(time.time()) + 5
        claims = {"sub": "eve", "name": "Eve", "aud": "ovation", "exp": ends}
        headers = {"Authorization": f"Bearer {jwt.encode(claims, secret, algorithm='HS256')}"}
        watching = await (await SocketViewer(c.url(0), headers=headers).open()).join(stream_id)
        idle = await SocketViewer(c.url(0), headers=headers).open()
        for viewer in (watching, idle):
            await viewer.ended()

            assert viewer.close_code == 4401
        assert ends <= time.time() < ends + 10


async def test_a_comment_that_cannot_be_read_is_refused_under_its_key(nats_server: NatsServer, tmp_path: Path) -> None:
    """Whoever posts waits for the ack of its key, also where the rest of the message is not a comment."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        viewer = await SocketViewer(c.url(0), query=await host.ticket(stream_id)).open()
        for field, key in (('"content":5', "e"), ('"text":"content is missing"', "f"), ('"content":"x","parent_id":7', "g")):
            seen = len(viewer.of("ack"))
            await viewer.send_raw(f'{{"type":"post_comment","stream_id":"{stream_id}",{field},"idempotency_key":"{key}"}}')
            await viewer.until(lambda v: len(v.of("ack")) > seen)  # noqa: B023 - awaited here
            ack = viewer.of("ack")[-1]
            assert (ack["idempotency_key"], ack["status"], ack["code"]) == (key, "rejected", "VALIDATION")


async def test_malformed_input_is_answered_and_nobody_else_notices(nats_server: NatsServer, tmp_path: Path) -> None:
    """Every kind of bad message is an error on a connection that stays; what breaks the protocol closes that one alone."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        witness = await (await SocketViewer(c.url(0)).open()).join(stream_id)
        viewer = await (await SocketViewer(c.url(0), query=await host.ticket(stream_id)).open()).join(stream_id)
        for message in (
            "not json",
            "",
            "[]",
            "7",
            "null",
            "{}",
            '{"type":"dance"}',
            '{"type":"join_stream"}',
            '{"type":"join_stream","stream_id":7}',
            f'{{"type":"join_stream","stream_id":"{stream_id}","last_seen_seq":-1}}',
            f'{{"type":"join_stream","stream_id":"{stream_id}","last_seen_seq":"5"}}',
            f'{{"type":"join_stream","stream_id":"{stream_id}","last_seen_seq":{2**53}}}',
            f'{{"type":"post_comment","stream_id":"{stream_id}","content":"no key"}}',
            f'{{"type":"react","stream_id":"{stream_id}","reaction_type":"bored"}}',
            "[" * 10_000,
            b"binary",
        ):
            seen = len(viewer.of("error"))
            await viewer.send_raw(message)
            await viewer.until(lambda v: len(v.of("error")) > seen)  # noqa: B023 - awaited here

            assert viewer.of("error")[-1]["code"] == "VALIDATION", message
            assert viewer.of("error")[-1]["retryable"] is False
        for content, key in (("", "a"), ("x" * 501, "b"), ("fine", ""), ("fine", "k" * 129), ("fine", "é")):
            ack = await viewer.post(content, key)
            assert (ack["status"], ack["code"]) == ("rejected", "VALIDATION")
        # Fragments are put together again.
        await viewer.send_raw(
            ['{"type":"post_comment","stream_id":"', stream_id, '","content":"in parts","idempotency_key":"p"}']
        )
        assert (await viewer.ack("p"))["status"] == "accepted"

        big = await SocketViewer(c.url(0)).open()
        await big.send_raw("x" * (16 * 1024 + 1))
        await big.ended()
        assert big.close_code == 1009
        for frame, code in (
            (b"\x81\x01x", 1002),  # not masked
            (b"\xf1\x80\0\0\0\0", 1002),  # reserved bits
            (b"\x83\x80\0\0\0\0", 1002),  # an opcode there is not
            (b"\x80\x80\0\0\0\0", 1002),  # a continuation of nothing
            (b"\x81\x82\0\0\0\0\xc3\x28", 1007),  # not UTF-8
            (b"\x88\x81\0\0\0\0x", 1002),  # a close code cut short
        ):
            broken = await SocketViewer(c.url(0)).open()
            assert broken.ws is not None
            broken.ws.transport.write(frame)
            await broken.ended()
            assert broken.close_code == code, frame
        await witness.until(lambda v: v.texts == ["in parts"])
        assert (witness.faults, witness.over) == ([], False)
        assert "Traceback" not in c.gateways[0].text


async def test_what_is_no_upgrade_is_refused_as_a_problem(nats_server: NatsServer, tmp_path: Path) -> None:
    """A plain GET is 426, a wrong version 400: problem documents, and the gateway goes on."""
    async with cluster(nats_server, tmp_path) as c:
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        async with httpx.AsyncClient(base_url=c.url(0)) as http:
            plain = await http.get("/ws")
            old = await http.get("/ws", headers=upgrade | {"Sec-WebSocket-Version": "8"})
            keyless = await http.get("/api/v1/ws", headers={**upgrade, "Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13"})

        assert (plain.status_code, plain.headers["upgrade"], plain.json()["code"]) == (426, "websocket", "VALIDATION")
        assert [(a.status_code, a.json()["code"]) for a in (old, keyless)] == [(400, "VALIDATION")] * 2
        async with connect(f"ws{c.url(0).removeprefix('http')}/api/v1/ws") as ws:
            await (await ws.ping())


async def test_commands_are_bounded(nats_server: NatsServer, tmp_path: Path) -> None:
    """Past 100 at once and 50 a second a message is refused; who goes on regardless is closed with 1008."""
    async with cluster(nats_server, tmp_path) as c, await Client(c.url(0)).guest() as host:
        stream_id = (await host.start())["stream_id"]
        viewer = await SocketViewer(c.url(0)).open()
        assert viewer.ws is not None
        # In one write: who says it slowly enough is not refused.
        viewer.ws.transport.write(LEAVE * 150)
        await viewer.until(lambda v: len(v.of("error")) >= 10)
        assert {e["code"] for e in viewer.of("error")} == {"RATE_LIMITED"}
        assert viewer.of("error")[0]["retryable"] is True

        async def heard_again() -> bool:
            return (await viewer.join(stream_id)).of("comments_batch") != []

        await eventually(heard_again)
        flood = await SocketViewer(c.url(0)).open()
        assert flood.ws is not None
        flood.ws.transport.write(b"\x89\x80\0\0\0\0" * 2000)
        await flood.ended()
        assert flood.close_code == 1008
