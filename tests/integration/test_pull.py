"""Durable pull consumers on a real server: what comes, what comes again, and what no outage stops."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from infra.errors import Unavailable
from infra.jetstream.deadletter import MAX_PAYLOAD, DeadLetters
from infra.jetstream.pull import Delivery, Pull
from schemas import subjects
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.waits import eventually

pytestmark = pytest.mark.nats


async def post(b: Broker, stream_id: str, count: int, payload: bytes = b"x") -> list[int]:
    """Publish *count* messages; their seqs."""
    subject = subjects.live(0, stream_id)
    return [(await b.publisher.publish(subject, payload, uuid.uuid4().hex)).seq for _ in range(count)]


async def consumer(b: Broker, stream_id: str, ack_wait_s: float = 1.0) -> str:
    """A durable of the test's own, like the archive's but for one stream and with less patience."""
    name = uuid.uuid4().hex
    config = {
        "durable_name": name,
        "ack_policy": "explicit",
        "ack_wait": int(ack_wait_s * 1e9),
        "filter_subject": subjects.live(0, stream_id),
    }
    body = json.dumps({"stream_name": "LIVE_0", "config": config}).encode()
    reply = await b.connection.request(f"$JS.API.CONSUMER.DURABLE.CREATE.LIVE_0.{name}", body)
    assert "error" not in json.loads(reply.data)
    return name


@asynccontextmanager
async def pulling(b: Broker, name: str, batch: int = 500) -> AsyncIterator[Pull]:
    """A pull that is closed in the end."""
    pull = Pull(b.connection, "LIVE_0", name, batch)
    yield pull
    await pull.close()


async def take(pull: Pull, count: int) -> list[Delivery]:
    """Fetch until *count* came."""
    found: list[Delivery] = []

    async def enough() -> bool:
        try:
            found.extend(await pull.fetch(0.2))
        except Unavailable:
            return False
        return len(found) >= count

    await eventually(enough)
    return found


async def test_messages_come_in_order_and_once_when_acknowledged(nats_server: NatsServer) -> None:
    """All of them, with their place, time and id; acknowledged ones are done and the floor says so."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        name = await consumer(b, stream_id, 60)
        seqs = await post(b, stream_id, 120)
        async with pulling(b, name) as pull:
            found = await take(pull, 120)
            await pull.ack(found)

            assert seqs == [delivery.seq for delivery in found]
            assert list(range(1, 121)) == [delivery.delivery for delivery in found]
            stored = await b.reader.at("LIVE_0", seqs[7])
            assert stored is not None
            assert (stored.at_ms, stored.msg_id, stored.payload) == (found[7].at_ms, found[7].msg_id, b"x")

            async def floor() -> bool:
                state = await pull.state()
                return (state.ack_floor, state.unacknowledged, state.waiting) == (seqs[-1], 0, 0)

            await eventually(floor)


async def test_a_fetch_is_bounded(nats_server: NatsServer) -> None:
    """Never more than the batch, however much there is."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        name = await consumer(b, stream_id, 30)
        await post(b, stream_id, 50)
        async with pulling(b, name, batch=7) as pull:
            sizes: list[int] = []

            async def all_came() -> bool:
                sizes.append(len(await pull.fetch(0.2)))
                return sum(sizes) == 50

            await eventually(all_came)
            assert max(sizes) <= 7
            assert await pull.fetch(0.05) == []


async def test_what_is_not_acknowledged_comes_again(nats_server: NatsServer) -> None:
    """After `ack_wait`, with the next attempt; deliveries are numbered on without a hole: the watermark counts on it."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        name = await consumer(b, stream_id, 3)
        seqs = await post(b, stream_id, 4)
        async with pulling(b, name) as pull:
            first = await take(pull, 4)
            await pull.ack([first[0], first[2]])
            again = await take(pull, 2)

            assert {seqs[1], seqs[3]} == {delivery.seq for delivery in again}
            assert [delivery.attempt for delivery in again] == [2, 2]
            assert [delivery.delivery for delivery in again] == [5, 6]


async def test_given_back_given_up_and_kept(nats_server: NatsServer) -> None:
    """A nak comes back soon, a term never, and what is worked on is not offered to anybody else meanwhile."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        name = await consumer(b, stream_id, 2)
        await post(b, stream_id, 3)
        async with pulling(b, name) as pull:
            back, up, kept = await take(pull, 3)
            await pull.term(up, "never")
            came: list[Delivery] = []
            began = b.clock.monotonic()

            async def five_seconds_pass() -> bool:
                await pull.keep([kept])
                came.extend(await pull.fetch(0.1))
                return b.clock.monotonic() - began > 5

            await pull.nak([back], 0.2)
            await eventually(five_seconds_pass)
            assert {back.seq} == {delivery.seq for delivery in came}


async def test_what_was_not_fetched_is_given_back_at_once(nats_server: NatsServer) -> None:
    """A successor need not wait for `ack_wait`: 60 s here, and it has all of them at once."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        name = await consumer(b, stream_id, 60)
        await post(b, stream_id, 20)
        pull = Pull(b.connection, "LIVE_0", name, 20)
        taken = await pull.fetch(0.0)

        async def all_on_their_way() -> bool:
            return (await pull.state()).unacknowledged == 20

        await eventually(all_on_their_way)
        await pull.close()
        async with pulling(b, name) as successor:
            began = b.clock.monotonic()
            await take(successor, 20 - len(taken))
            assert b.clock.monotonic() - began < 15


async def test_a_killed_server_costs_nothing(own_nats_server: NatsServer) -> None:
    """Kill -9 and restart, twice, with messages before, between and after: each comes, without a new consumer."""
    async with broker(own_nats_server.url) as b:
        stream_id = fresh_stream()
        name = await consumer(b, stream_id)
        async with pulling(b, name) as pull:
            seen: set[int] = set()
            wanted: list[int] = []
            for _ in range(3):
                wanted += await post(b, stream_id, 40)

                async def all_came(wanted: list[int] = wanted) -> bool:
                    try:
                        batch = await pull.fetch(0.2)
                    except Unavailable:
                        return False
                    seen.update(delivery.seq for delivery in batch)
                    await pull.ack(batch)
                    return seen == set(wanted)

                await eventually(all_came)
                own_nats_server.kill()
                own_nats_server.start()
                await eventually(b.connection.up.is_set)


async def test_a_paused_server_costs_nothing(own_nats_server: NatsServer) -> None:
    """A server that was stopped for longer than a request may be silent: told, and afterwards everything comes."""
    async with broker(own_nats_server.url) as b:
        stream_id = fresh_stream()
        name = await consumer(b, stream_id)
        async with pulling(b, name) as pull:
            first = await post(b, stream_id, 5)
            assert first == [delivery.seq for delivery in await take(pull, 5)]
            own_nats_server.pause()

            async def told() -> bool:
                try:
                    await pull.fetch(0.2)
                except Unavailable:
                    return True
                return False

            await eventually(told)
            own_nats_server.resume()
            await eventually(b.connection.up.is_set)
            later = await post(b, stream_id, 5)
            found: set[int] = set()

            async def all_came() -> bool:
                try:
                    batch = await pull.fetch(0.2)
                except Unavailable:
                    return False
                await pull.ack(batch)
                found.update(delivery.seq for delivery in batch)
                return found >= {*first, *later}

            await eventually(all_came)


async def test_a_missing_consumer_is_named(nats_server: NatsServer) -> None:
    """Without topology the answer says so, by name; once it is applied the same pull works."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        name = await consumer(b, stream_id)
        await b.connection.request(f"$JS.API.CONSUMER.DELETE.LIVE_0.{name}")
        async with pulling(b, name) as pull:
            with pytest.raises(Unavailable, match=rf"consumer {name} of LIVE_0.*topology"):
                await pull.fetch(1.0)
            with pytest.raises(Unavailable, match="topology"):
                await pull.state()


async def test_a_deleted_message_does_not_hold_the_floor(nats_server: NatsServer) -> None:
    """What the log lost while it waited for its retry is passed by the ack floor."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        name = await consumer(b, stream_id)
        seqs = await post(b, stream_id, 3)
        async with pulling(b, name) as pull:
            found = await take(pull, 3)
            await pull.ack([found[0], found[2]])
            await b.connection.request("$JS.API.STREAM.MSG.DELETE.LIVE_0", b'{"seq": %d}' % seqs[1])

            async def passed() -> bool:
                await pull.fetch(0.1)
                return (await pull.state()).ack_floor >= seqs[2]

            await eventually(passed)


async def test_a_dead_letter_tells_where_it_came_from(nats_server: NatsServer) -> None:
    """Reason, subject, log and seq in headers that no payload can break; stored once; its size is bounded."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        name = await consumer(b, stream_id)
        (seq,) = await post(b, stream_id, 1, b"y" * (MAX_PAYLOAD + 10))
        async with pulling(b, name) as pull:
            (delivery,) = await take(pull, 1)
            dead = DeadLetters(b.publisher)
            for _ in range(2):
                await dead.put(delivery, "bad\r\nNats-Msg-Id: forged ü")
            letters = await b.reader.follow_from("DEAD", subjects.dead(name), 0)

        assert len(letters) == 1
        headers = letters[0].headers
        assert headers["Ovation-Reason"] == "bad??Nats-Msg-Id: forged ?"
        assert headers["Ovation-Subject"] == subjects.live(0, stream_id)
        assert (headers["Ovation-Log"], headers["Ovation-Seq"]) == ("LIVE_0", str(seq))
        assert (len(letters[0].payload), headers["Ovation-Bytes"]) == (MAX_PAYLOAD, str(MAX_PAYLOAD + 10))


async def test_a_batch_is_gathered_by_size_and_by_time(nats_server: NatsServer) -> None:
    """With time to gather, messages that come one by one are one batch, which leaves as soon as it is full."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        async with pulling(b, await consumer(b, stream_id, 120), batch=20) as pull:
            assert await pull.fetch(0.1) == []
            posting = asyncio.create_task(post(b, stream_id, 20))
            began = b.clock.monotonic()
            assert len(await pull.fetch(5.0, 60.0)) == 20
            assert b.clock.monotonic() - began < 40
            await posting
            # Not full: whatever there is after the time.
            await post(b, stream_id, 3)
            first = await pull.fetch(5.0, 0.3)
            assert len(first) == 3


async def test_what_came_before_is_gathered_with_what_comes(nats_server: NatsServer) -> None:
    """A batch is as large as it can be: also beyond what the request brings that was open when it began."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        async with pulling(b, await consumer(b, stream_id, 120), batch=20) as pull:
            await post(b, stream_id, 1)
            assert len(await take(pull, 1)) == 1
            await post(b, stream_id, 5)

            async def delivered() -> bool:
                return (await pull.state()).unacknowledged == 6

            await eventually(delivered)
            posting = asyncio.create_task(post(b, stream_id, 15))
            assert len(await pull.fetch(5.0, 60.0)) == 20
            await posting
