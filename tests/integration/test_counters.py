"""Counter logs: exact through repetitions, crashes and the change from undivided counters to parts."""

import json

import pytest

from infra.errors import Unavailable
from infra.jetstream.counters import Counters
from infra.jetstream.topology import Topology, wanted
from tests.backends.nats import NatsServer
from tests.broker import broker, fresh_stream
from tests.factories import STREAM
from tests.waits import eventually

pytestmark = pytest.mark.nats


async def test_counters_add_once_per_id(nats_server: NatsServer) -> None:
    """A repetition is acknowledged and not counted; the answer contains it either way."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()

        assert await b.counters.add(0, stream_id, "like", 2, f"{stream_id}a") == 2
        assert await b.counters.add(0, stream_id, "like", 2, f"{stream_id}a") == 2
        assert await b.counters.add(0, stream_id, "like", 1, f"{stream_id}b") == 3
        assert await b.counters.add(0, stream_id, "like", 2, f"{stream_id}a") == 3
        assert await b.counters.totals(0, stream_id) == {"like": 3}


async def test_an_addition_is_known_after_a_crash_though_others_followed_it(own_nats_server: NatsServer) -> None:
    """nats-server rebuilds its Msg-Ids from what is stored: the newest message of a counter alone would not be enough."""
    async with broker(own_nats_server.url) as b:
        stream_id = fresh_stream()
        for n in range(8):
            await b.counters.add(0, stream_id, "like", 1, f"k{n}")
        own_nats_server.kill()
        own_nats_server.start()
        await eventually(b.connection.up.is_set)

        async def answers() -> bool:
            try:
                return await b.counters.totals(0, stream_id) == {"like": 8}
            except Unavailable:
                return False

        # It takes connections, and what is published, a moment before anybody may read.
        await eventually(answers)
        assert [await b.counters.add(0, stream_id, "like", 1, f"k{n}") for n in range(8)] == [8] * 8
        assert await answers()


async def test_a_total_is_the_sum_of_its_parts(nats_server: NatsServer) -> None:
    """Gateways add to parts of their own; the undivided counter of an older version still counts."""
    async with broker(nats_server.url) as b:
        stream_id = fresh_stream()
        for part in (0, 3, 63):
            await Counters(b.publisher, b.reader, part).add(0, stream_id, "like", part + 1, f"{stream_id}{part}")
        await b.publisher.publish(f"count.0.{stream_id}.like", b"", stream_id, {"Nats-Incr": "+1000"})

        assert await b.counters.parts(0, stream_id) == {"like": {-1: 1000, 0: 1, 3: 4, 63: 64}}
        assert await b.counters.totals(0, stream_id) == {"like": 1069}


async def test_counter_logs_of_the_first_version_are_taken_over(own_nats_server: NatsServer) -> None:
    """Applying the topology lets an existing counter log take parts, and keeps what it has counted."""
    first = {
        "name": "COUNTS_0",
        "subjects": ["count.0.*.*"],
        "max_msgs_per_subject": 1,
        "max_bytes": 134217728,
        "allow_msg_counter": True,
        "duplicate_window": 120 * 10**9,
        "allow_direct": True,
    }
    async with broker(own_nats_server.url, apply=False) as b:
        await b.connection.request("$JS.API.STREAM.CREATE.COUNTS_0", json.dumps(first).encode())
        await b.publisher.publish(f"count.0.{STREAM}.like", b"", "k", {"Nats-Incr": "+7"})
    async with broker(own_nats_server.url) as b:
        assert await b.counters.add(0, STREAM, "like", 1, "k2") == 1
        assert await b.counters.totals(0, STREAM) == {"like": 8}
        assert await Topology(b.connection).diff(wanted(b.settings, b.clock)) == []
