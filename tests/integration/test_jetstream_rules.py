"""What of nats-server this design stands on: an upgrade that changes any of it must be noticed here first."""

import asyncio
import uuid

import pytest

from infra.clock import SystemClock
from infra.environment import load
from infra.errors import LimitReached, Unavailable
from infra.jetstream.connection import Connection
from infra.jetstream.feed import FeedMessage
from infra.jetstream.publisher import Full
from infra.limit import Limit
from schemas import subjects
from tests.backends.nats import NatsServer
from tests.broker import broker, fresh_stream
from tests.ports import free_port
from tests.waits import PATIENCE_S, eventually

pytestmark = pytest.mark.nats


async def test_a_log_begins_at_its_incarnation(nats_server: NatsServer) -> None:
    """A re-created log is above an older one, and both ends are told."""
    async with broker(nats_server.url) as b:
        state = await b.reader.state("LIVE_0")

        assert state.incarnation > 1_700_000_000 << 20
        assert state.incarnation < 2**53


async def test_the_same_id_is_stored_once_and_answers_the_first_seq(nats_server: NatsServer) -> None:
    """A retry's PubAck names the stored sequence."""
    async with broker(nats_server.url) as b:
        subject = subjects.live(0, fresh_stream())
        key = uuid.uuid4().hex
        first = await b.publisher.publish(subject, b"one", key)
        again = await b.publisher.publish(subject, b"one", key)

        assert not first.duplicate
        assert again.duplicate
        assert first.seq == again.seq


async def test_an_id_can_be_looked_up_without_storing(nats_server: NatsServer) -> None:
    """The duplicate window is asked before the impossible expectation is refused; nothing is stored either way."""
    async with broker(nats_server.url) as b:
        subject = subjects.live(0, fresh_stream())
        key = uuid.uuid4().hex
        stored = await b.publisher.publish(subject, b"one", key)
        last = (await b.reader.state("LIVE_0")).last

        assert stored.seq == await b.publisher.find(subject, key)
        assert await b.publisher.find(subject, uuid.uuid4().hex) is None
        assert last == (await b.reader.state("LIVE_0")).last


async def test_republish_carries_seq_time_and_what_came_before(nats_server: NatsServer) -> None:
    """The feed names each message's seq, its time and the last seq on its subject."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        fed: list[FeedMessage] = []
        await b.feed.follow(subjects.feed(0, stream_id), fed.append)
        first = await b.publisher.publish(subjects.live(0, stream_id), b"1", uuid.uuid4().hex)
        await b.publisher.publish(subjects.live(0, fresh_stream()), b"x", uuid.uuid4().hex)
        second = await b.publisher.publish(subjects.live(0, stream_id), b"2", uuid.uuid4().hex)
        await eventually(lambda: len(fed) == 2)

        assert [(first.seq, 0), (second.seq, first.seq)] == [(m.seq, m.last_seq) for m in fed]
        assert abs(fed[0].at_ms - b.clock.now_ms()) < 60_000


async def test_a_deleted_last_message_lowers_what_the_feed_says(nats_server: NatsServer) -> None:
    """After a deletion the header names the message before: it can only be a check, never a `prev`."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        subject = subjects.live(0, stream_id)
        fed: list[FeedMessage] = []
        await b.feed.follow(subjects.feed(0, stream_id), fed.append)
        seqs = [(await b.publisher.publish(subject, b"x", uuid.uuid4().hex)).seq for _ in range(3)]
        await b.connection.request("$JS.API.STREAM.MSG.DELETE.LIVE_0", b'{"seq": %d}' % seqs[-1])
        await b.publisher.publish(subject, b"y", uuid.uuid4().hex)
        await eventually(lambda: len(fed) == 4)

        assert seqs[1] == fed[-1].last_seq


async def test_a_range_is_read_in_order_and_skips_other_streams(nats_server: NatsServer) -> None:
    """More than one batch, holes of other streams included: exactly the stream's messages, ascending."""
    async with broker(nats_server.url) as b:
        mine, other = fresh_stream(), fresh_stream()
        acks = await asyncio.gather(
            *(b.publisher.publish(subjects.live(0, mine if n % 3 else other), b"%d" % n, f"{mine}{n}") for n in range(2400))
        )
        seqs = sorted(ack.seq for n, ack in enumerate(acks) if n % 3)
        read = await b.reader.range("LIVE_0", subjects.live(0, mine), seqs[0], seqs[-1])

        assert seqs[1:] == [message.seq for message in read]


async def test_a_range_ends_at_what_was_asked(nats_server: NatsServer) -> None:
    """`until` is inclusive and nothing after it is returned, `limit` cuts."""
    async with broker(nats_server.url) as b:
        subject = subjects.live(0, fresh_stream())
        seqs = [(await b.publisher.publish(subject, b"x", uuid.uuid4().hex)).seq for _ in range(6)]

        assert seqs[1:4] == [m.seq for m in await b.reader.range("LIVE_0", subject, seqs[0], seqs[3])]
        assert seqs[:2] == [m.seq for m in await b.reader.range("LIVE_0", subject, 0, seqs[5], limit=2)]


async def test_a_range_may_end_at_another_streams_message(nats_server: NatsServer) -> None:
    """A position between a stream's last message and the log's own end is reached: it is not taken for a replica that lags."""
    async with broker(nats_server.url) as b:
        mine, other = subjects.live(0, fresh_stream()), subjects.live(0, fresh_stream())
        seqs = [(await b.publisher.publish(each, b"x", uuid.uuid4().hex)).seq for each in (mine, mine, other)]

        assert seqs[:2] == [m.seq for m in await b.reader.range("LIVE_0", mine, 0, seqs[2])]
        assert await b.reader.range("LIVE_0", mine, seqs[1], seqs[2]) == []


async def test_an_erased_end_does_not_hang_a_read(nats_server: NatsServer) -> None:
    """The last message was deleted after it became known: the read returns what is there."""
    async with broker(nats_server.url) as b:
        subject = subjects.live(0, fresh_stream())
        seqs = [(await b.publisher.publish(subject, b"x", uuid.uuid4().hex)).seq for _ in range(3)]
        await b.connection.request("$JS.API.STREAM.MSG.DELETE.LIVE_0", b'{"seq": %d}' % seqs[-1])

        assert seqs[:2] == [m.seq for m in await b.reader.range("LIVE_0", subject, 0, seqs[-1])]


async def test_tails_of_many_streams_in_one_question(nats_server: NatsServer) -> None:
    """The newest message of each, and nothing for a stream that has none."""
    async with broker(nats_server.url) as b:
        names = [subjects.live(0, fresh_stream()) for _ in range(600)]
        acks = await asyncio.gather(*(b.publisher.publish(name, b"x", name) for name in names[:-1]))
        tails = await b.reader.tails("LIVE_0", names)

        assert {name: ack.seq for name, ack in zip(names, acks, strict=False)} == {
            name: message.seq for name, message in tails.items()
        }


async def test_tails_after_a_seq_say_how_far_they_know(nats_server: NatsServer) -> None:
    """Only what is above the seq is told, and nothing is missed by asking from where the last answer ended."""
    async with broker(nats_server.url) as b:
        names = [subjects.live(0, fresh_stream()) for _ in range(1100)]
        acks = await asyncio.gather(*(b.publisher.publish(name, b"x", name) for name in names))
        everything, known = await b.reader.tails_after("LIVE_0", names, 0)
        nothing, still = await b.reader.tails_after("LIVE_0", names, known)
        late = await b.publisher.publish(names[7], b"y", "late" + names[7])
        news, later = await b.reader.tails_after("LIVE_0", names, still)

        assert {name: ack.seq for name, ack in zip(names, acks, strict=True)} == {name: everything[name] for name in names}
        assert known >= max(ack.seq for ack in acks)
        assert not set(nothing) & set(names)
        assert {names[7]: late.seq} == {name: seq for name, seq in news.items() if name in names}
        assert later >= late.seq


async def test_a_limit_is_exact_whoever_posts(nats_server: NatsServer) -> None:
    """40 users x 30 concurrent posts over three connections: exactly five pass each; a retry of a passed one spends nothing."""
    async with broker(nats_server.url) as b, broker(nats_server.url) as c, broker(nats_server.url) as d:
        run = uuid.uuid4().hex
        limiters = [b.limits, c.limits, d.limits]
        posted: set[tuple[int, int]] = set()

        async def post(user: int, n: int) -> bool:
            async def done() -> bool:
                return (user, n) in posted

            try:
                await limiters[n % 3].take("user_stream", Limit(5, 30), (run, str(user)), f"{run}.{user}.{n}", done)
            except LimitReached as reached:
                assert 1 <= reached.retry_after <= 30
                return False
            posted.add((user, n))
            return True

        passed = await asyncio.gather(*(post(user, n) for user in range(40) for n in range(30)))
        by_user = [passed[user * 30 : user * 30 + 30] for user in range(40)]

        assert [sum(each) for each in by_user] == [5] * 40
        first = by_user[0].index(True)
        assert await post(0, first)


async def test_a_token_frees_its_place_after_the_window(nats_server: NatsServer) -> None:
    """The refusal says how long to wait, and that is true: not before the window's length, and then at once."""
    settings = load({"OVATION_LIMIT_REACTIONS": "1/2"})
    async with broker(nats_server.url, settings) as b:
        limit, party = settings.limit_reactions, (uuid.uuid4().hex,)
        began = b.clock.monotonic()
        await b.limits.take("reactions", limit, party, uuid.uuid4().hex)
        with pytest.raises(LimitReached) as refused:
            await b.limits.take("reactions", limit, party, uuid.uuid4().hex)

        async def free() -> bool:
            try:
                await b.limits.take("reactions", limit, party, uuid.uuid4().hex)
            except LimitReached:
                return False
            return True

        await eventually(free)
        assert b.clock.monotonic() - began >= 2.0
        assert 1 <= refused.value.retry_after <= 2


async def test_a_full_log_refuses_and_drops_nothing(nats_server: NatsServer) -> None:
    """At its byte limit the live log answers with a clear refusal; what was acknowledged is still there."""
    settings = load({"OVATION_SHARDS": "2", "OVATION_LIVE_MAX_BYTES": "20000"})
    async with broker(nats_server.url, settings) as b:
        subject = subjects.live(1, fresh_stream())
        stored: list[int] = []

        async def fill() -> None:
            for n in range(100):
                ack = await b.publisher.publish(subject, b"x" * 1000, f"{subject}{n}")
                stored.append(ack.seq)

        with pytest.raises(Full, match="OVATION_LIVE_MAX_BYTES"):
            await fill()

        assert stored == [m.seq for m in await b.reader.range("LIVE_1", subject, 0, stored[-1])]


async def test_ids_survive_kill_and_restart(own_nats_server: NatsServer) -> None:
    """The duplicate window is rebuilt from the log: a retry after a crash stays a retry."""
    async with broker(own_nats_server.url) as b:
        subject = subjects.live(0, fresh_stream())
        acks = [await b.publisher.publish(subject, b"x", f"k{n}") for n in range(50)]
        own_nats_server.kill()
        own_nats_server.start()
        await eventually(b.connection.up.is_set)
        again = [await b.publisher.publish(subject, b"x", f"k{n}") for n in range(50)]

        assert [ack.seq for ack in acks] == [ack.seq for ack in again]
        assert all(ack.duplicate for ack in again)


async def test_a_broker_that_never_comes_is_named() -> None:
    """After the time it is waited for, with the setting to change; the client alone would try for ever and say nothing."""
    port = free_port()
    with pytest.raises(Unavailable, match=rf"nats://127\.0\.0\.1:{port} .*OVATION_NATS_URL"):
        async with asyncio.timeout(PATIENCE_S):
            await Connection(f"nats://127.0.0.1:{port}", "test", SystemClock()).open(wait_s=0.3)


async def test_an_outage_is_waited_for_then_told(own_nats_server: NatsServer) -> None:
    """A publish outlives a short outage; in a long one it ends with Unavailable, and later ones end at once."""
    subject = subjects.live(0, fresh_stream())
    async with broker(own_nats_server.url, wait_s=PATIENCE_S) as b:
        own_nats_server.kill()
        waiting = asyncio.create_task(b.publisher.publish(subject, b"x", "during"))
        await eventually(lambda: not b.connection.up.is_set())
        own_nats_server.start()
        assert (await waiting).seq > 0

    async with broker(own_nats_server.url, wait_s=5.0) as b:
        own_nats_server.kill()
        await eventually(lambda: b.connection.down_s > 5.0)
        began = b.clock.monotonic()
        with pytest.raises(Unavailable, match="away"):
            await b.publisher.publish(subject, b"x", "gone")
        assert b.clock.monotonic() - began < 4.0
