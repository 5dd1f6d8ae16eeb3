"""What a gateway knows of follows and invitations: asked for once, kept in step, believed only while it is."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway import granted
from gateway.granted import Granted
from infra.errors import Unavailable
from infra.jetstream.connection import Subscription
from infra.jetstream.feed import Feed, FeedMessage
from infra.jetstream.grants import INVITATIONS, Grants, Held
from schemas import subjects
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.waits import eventually

pytestmark = pytest.mark.nats

#: The promises are 2 s, which two busy cores may miss.
SOON_S = 8.0
BEA = "bea@example.org"
PARTY = subjects.party(BEA)


class Slow(Grants):
    """Answers stay on their way until they are let go."""

    def __init__(self, b: Broker) -> None:
        super().__init__(b.bucket(INVITATIONS), b.clock)
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.asked: list[str] = []

    async def held(self, keys: Sequence[str]) -> dict[str, Held]:
        """Read now, answer later."""
        self.asked += keys
        found = await super().held(keys)
        await self.let_go.wait()
        return found


class Deaf(Feed):
    """Brings nothing: everything of it is lost."""

    async def follow(self, subject: str, take: Callable[[FeedMessage], None]) -> Subscription:
        """Follow what never comes."""
        del take
        return await super().follow(f"nothing.{subject}", lambda _: None)


@asynccontextmanager
async def _knowing(b: Broker, feed: Feed | None = None) -> AsyncIterator[tuple[Granted, Slow]]:
    grants = Slow(b)
    knows = Granted(grants)
    await knows.start(feed or b.feed)
    try:
        yield knows, grants
    finally:
        await knows.stop()


async def test_what_the_feed_loses_is_found(nats_server: NatsServer) -> None:
    """A grant that was taken back elsewhere, of which the feed brought nothing, is known soon, and is told."""
    async with broker(nats_server.url) as b, _knowing(b, Deaf(b.connection)) as (knows, _), _knowing(b) as (elsewhere, _):
        stream_id, told = fresh_stream(), list[str]()
        knows.on_taken_back = told.append
        await elsewhere.give(stream_id, BEA)
        assert await knows.ask(stream_id, PARTY)
        await elsewhere.take_back(stream_id, BEA)
        await eventually(lambda: knows.known(stream_id, PARTY) is False, timeout=SOON_S)
        assert told == [stream_id]


async def test_an_answer_that_was_overtaken_is_not_believed(nats_server: NatsServer) -> None:
    """Asked, taken back, told of it, answered: the answer is from before."""
    async with broker(nats_server.url) as b, _knowing(b) as (knows, slow), _knowing(b) as (elsewhere, _):
        stream_id = fresh_stream()
        await elsewhere.give(stream_id, BEA)
        slow.let_go.clear()
        asking = asyncio.create_task(knows.ask(stream_id, PARTY))
        await eventually(lambda: bool(slow.asked))
        # Read for, by now, or soon: what takes it back comes after it.
        await b.reader.last("KV_invitations", "$KV.invitations.>")
        await elsewhere.take_back(stream_id, BEA)
        await eventually(lambda: knows.known(stream_id, PARTY) is False)
        slow.let_go.set()
        assert await asking is False
        assert knows.known(stream_id, PARTY) is False


async def test_many_who_wait_are_one_question(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask for one, and many who ask for one each are a few questions."""
    # Two thousand questions on busy cores take longer than what is known is believed unheard of.
    monkeypatch.setattr(granted, "BELIEVED_S", 60.0)
    async with broker(nats_server.url) as b, _knowing(b) as (knows, slow):
        stream_id = fresh_stream()
        await knows.give(stream_id, "someone else")
        assert not any(await asyncio.gather(*(knows.ask(stream_id, PARTY) for _ in range(200))))
        assert slow.asked == [subjects.grant(stream_id, PARTY)]
        parties = [subjects.party(f"{BEA}{n}") for n in range(2000)]
        assert not any(await asyncio.gather(*(knows.ask(stream_id, party) for party in parties)))
        assert len(slow.asked) == 2001
        assert not any(await asyncio.gather(*(knows.ask(stream_id, party) for party in parties)))
        assert len(slow.asked) == 2001


async def test_it_is_bounded(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for the longest ago goes first, and is asked for again."""
    monkeypatch.setattr(granted, "MOST", 3)
    async with broker(nats_server.url) as b, _knowing(b) as (knows, _):
        stream_id = fresh_stream()
        await knows.give(stream_id, BEA)
        for n in range(3):
            await knows.ask(stream_id, subjects.party(f"{BEA}{n}"))
        assert knows.known(stream_id, PARTY) is None
        assert await knows.ask(stream_id, PARTY) is True


async def test_without_a_broker_nobody_is_let_in(own_nats_server: NatsServer) -> None:
    """After 2 s without it nothing is believed, after 3 s more whoever asks is told so; when it is back, all is as it was."""
    async with broker(own_nats_server.url) as b, _knowing(b) as (knows, _):
        stream_id = fresh_stream()
        await knows.give(stream_id, BEA)
        assert knows.known(stream_id, PARTY) is True
        own_nats_server.pause()
        try:
            await eventually(lambda: knows.known(stream_id, PARTY) is None, timeout=SOON_S)
            with pytest.raises(Unavailable):
                await knows.ask(stream_id, PARTY)
        finally:
            own_nats_server.resume()
        await eventually(lambda: knows.known(stream_id, PARTY) is True)


async def test_a_grant_that_ends_leaves_nothing(nats_server: NatsServer) -> None:
    """A guest's is gone from the bucket when it ends, also one that was given, taken back and given again."""
    async with broker(nats_server.url) as b, _knowing(b) as (knows, _):
        stream_id = fresh_stream()
        first = await knows.give(stream_id, BEA, 3)
        await knows.take_back(stream_id, BEA)
        assert await knows.get(stream_id, BEA) is None
        again = await knows.give(stream_id, BEA, 3)
        assert again.at >= first.at
        assert await knows.get(stream_id, BEA) == again

        async def gone() -> bool:
            return await b.reader.last("KV_invitations", f"$KV.invitations.{stream_id}.>") is None

        await eventually(gone)
