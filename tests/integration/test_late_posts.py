"""Limits are exact by when comments are stored, however long after their tokens that is."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.errors import LimitReached
from infra.limit import Limit
from schemas import subjects
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker
from tests.cluster import cluster
from tests.faults import FaultProxy
from tests.processes import Client
from tests.waits import eventually

pytestmark = pytest.mark.nats

#: What the test's own topology says of this limit.
FIVE = Limit(5, 30)


class _Holding(FaultProxy):
    """Holds a gateway's comment, whose tokens the broker has given, until `go`; says so to *held*."""

    def __init__(self, upstream: int) -> None:
        super().__init__(upstream)
        self.go = asyncio.Event()
        self.go.set()
        self.on_held: Callable[[], None] = lambda: None

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, left: int | None, gate: asyncio.Event | None = None
    ) -> None:
        if gate is not None:
            await super()._pump(source, sink, left, gate)
            return
        with contextlib.suppress(OSError):
            while data := await source.read(64 * 1024):
                if b"PUB live.0." in data and not self.go.is_set():
                    self.on_held()
                    await self.go.wait()
                sink.write(data)
                await sink.drain()


async def test_a_broker_that_stops_between_token_and_comment(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """For 2.5 s, with one person's posts on two gateways under way: no 4 s have more than two of the comments."""
    count, window_s, stopped_s = 2, 4, 2.5
    async with (
        _Holding.before(own_nats_server.port) as one,
        _Holding.before(own_nats_server.port) as two,
        cluster(
            own_nats_server,
            tmp_path,
            gateways=2,
            archive=False,
            nats_urls=tuple(f"nats://127.0.0.1:{p.port}" for p in (one, two)),
            limits="1000/1",
            limit_user_stream=f"{count}/{window_s}",
        ) as c,
        await Client(c.url(0)).guest() as here,
        Client(c.url(1), here.http.headers["Authorization"].removeprefix("Bearer ")) as there,
    ):
        stream_id = (await here.start())["stream_id"]
        held: list[int] = []
        proxies = [proxy for proxy in (one, two) if isinstance(proxy, _Holding)]
        for proxy in proxies:
            proxy.on_held = lambda: held.append(1)
            proxy.go.clear()
        posts = [asyncio.create_task(who.post(stream_id, "late", key)) for who, key in ((here, "a"), (there, "b"))]
        await eventually(lambda: len(held) == 2)
        own_nats_server.pause()
        for proxy in proxies:
            proxy.go.set()
        since = time.monotonic()
        await eventually(lambda: time.monotonic() - since > stopped_s)
        own_nats_server.resume()
        assert {answer.status_code for answer in await asyncio.gather(*posts)} <= {200, 201}

        taken = 0
        while taken < count:
            answers = [await who.post(stream_id, "again") for who in (here, there)]
            taken += [answer.status_code for answer in answers].count(201)
            assert {answer.status_code for answer in answers} <= {201, 429}
        async with broker(own_nats_server.url, apply=False) as b:
            messages = await b.reader.follow_from(subjects.live_log(0), subjects.live(0, stream_id), 0)
    times = [message.at_ms for message in messages]
    assert len(times) >= 2 * count
    assert min(later - first for first, later in zip(times, times[count:], strict=False)) >= window_s * 1000


async def _own(b: Broker, keys: tuple[str, ...]) -> dict[str, int]:
    """What the window holds: whose, and when it was taken."""
    tokens = await b.reader.follow_from("LIMITS_user_stream", subjects.limit("user_stream", *keys), 0)
    return {(token.msg_id or "").partition(":")[0]: token.seq for token in tokens}


async def test_a_late_token_is_renewed_in_its_place(nats_server: NatsServer) -> None:
    """In a full window and in one that is not; one that was in time stays; where others took the place, that is said."""
    async with broker(nats_server.url) as b:
        keys, ids = (uuid.uuid4().hex, "ada"), [uuid.uuid4().hex for _ in range(5)]
        for n in range(2):
            await b.limits.take("user_stream", FIVE, keys, ids[n])
        before, later = await _own(b, keys), b.clock.now_ms() + 7000
        assert await b.limits.renew("user_stream", 30, keys, ids[0], b.clock.now_ms() - 100)
        assert await _own(b, keys) == before
        assert await b.limits.renew("user_stream", 30, keys, ids[0], later)
        after = await _own(b, keys)
        assert after[ids[0]] > after[ids[1]] == before[ids[1]]

        for each in ids[2:]:
            await b.limits.take("user_stream", FIVE, keys, each)
        await asyncio.gather(*(b.limits.renew("user_stream", 30, keys, each, later) for each in ids))
        full = await _own(b, keys)
        assert sorted(full) == sorted(ids)
        assert min(full.values()) > max(after.values())
        with pytest.raises(LimitReached):
            await b.limits.take("user_stream", FIVE, keys, uuid.uuid4().hex)
        assert not await b.limits.renew("user_stream", 30, keys, "somebody whose token has gone", later)


async def test_slow_mode_is_renewed_for_its_own_time(nats_server: NatsServer) -> None:
    """Its one token is in the way of everybody but its own renewal, which has its time to live again."""
    async with broker(nats_server.url) as b:
        keys = (uuid.uuid4().hex, "ada")
        await b.limits.hold("slow", 60, keys, "first")
        assert await b.limits.renew("slow", 60, keys, "first", b.clock.now_ms() + 7000, held=True)
        token = await b.reader.last("LIMITS_slow", subjects.limit("slow", *keys))
        assert token is not None
        assert (token.msg_id or "").startswith("first:")
        assert token.headers["Nats-TTL"] == "60s"
        with pytest.raises(LimitReached):
            await b.limits.hold("slow", 60, keys, "second")
