"""Media events on the real log: each once, in order, over outages, and none of a worker that lost the stream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from infra.errors import Unavailable
from infra.jetstream.publisher import PubAck, Publisher
from schemas import subjects
from schemas.media import EncoderWarned, Event
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.waits import PATIENCE_S
from workers.media import ledger
from workers.media.ledger import Ledger

pytestmark = pytest.mark.nats


@pytest.fixture(name="b")
async def _b(nats_server: NatsServer) -> AsyncIterator[Broker]:
    async with broker(nats_server.url) as connected:
        yield connected


@asynccontextmanager
async def worker(b: Broker, name: str, publisher: Publisher | None = None) -> AsyncIterator[Ledger]:
    """One worker's journal; what it told is written when this ends."""
    made = Ledger(publisher or b.publisher, b.reader, name)
    try:
        yield made
    finally:
        await made.close()


def event(stream_id: str, text: str, lease: int = 1) -> Event:
    """Something that happened."""
    return EncoderWarned(
        stream_id=stream_id,
        lease=lease,
        generation=lease,
        worker="one",
        at="2026-11-21T04:35:54.123Z",
        clock=None,
        ingest=None,
        about="keyframes",
        text=text,
    )


async def told(b: Broker, stream_id: str) -> list[str]:
    """What the log has of a stream."""
    subject = subjects.media(stream_id)
    events = [msgspec.json.decode(each.payload, type=Event) for each in await b.reader.follow_from("MEDIA", subject, 0)]
    return [each.text for each in events if isinstance(each, EncoderWarned)]


async def test_events_of_several_streams_are_in_the_order_they_were_told(b: Broker) -> None:
    """Whatever else is written meanwhile, by whomever."""
    streams = [fresh_stream() for _ in range(3)]
    async with worker(b, "one") as one, worker(b, "two") as two:
        for n in range(10):
            for stream_id in streams[:2]:
                one.tell(event(stream_id, str(n)))
            two.tell(event(streams[2], str(n)))
    assert [await told(b, each) for each in streams] == [[str(n) for n in range(10)]] * 3


async def test_two_who_may_write_of_one_stream_lose_nothing(b: Broker) -> None:
    """The owner, and who finishes the recording: each finds the other's event before its own and goes on."""
    stream_id = fresh_stream()
    async with worker(b, "one") as one, worker(b, "two") as two:
        for n in range(10):
            one.tell(event(stream_id, f"a{n}"))
            two.tell(event(stream_id, f"b{n}", lease=0))
    found = await told(b, stream_id)
    assert sorted(found) == sorted(f"{who}{n}" for who in "ab" for n in range(10))
    assert [each for each in found if each[0] == "a"] == [f"a{n}" for n in range(10)]


async def test_a_worker_that_lost_the_stream_writes_nothing_after_its_successor(b: Broker) -> None:
    """What waited in it is given up, what it told before stays, and its other streams go on."""
    stream_id, other = fresh_stream(), fresh_stream()
    async with worker(b, "one") as one:
        one.tell(event(stream_id, "first", lease=5))
        await one.settled()
        async with worker(b, "two") as two:
            two.tell(event(stream_id, "second", lease=9))
        one.tell(event(stream_id, "stale", lease=5))
        one.tell(event(other, "elsewhere", lease=6))
    assert await told(b, stream_id) == ["first", "second"]
    assert await told(b, other) == ["elsewhere"]


class Deaf(Publisher):
    """Stores what it is given, and does not hear the first *times* acknowledgements."""

    times = 2

    async def publish(
        self, subject: str, payload: bytes, msg_id: str | None = None, headers: dict[str, str] | None = None
    ) -> PubAck:
        """As the publisher does."""
        ack = await super().publish(subject, payload, msg_id, headers)
        self.times -= 1
        if self.times >= 0:
            msg = "nobody answered"
            raise Unavailable(msg)
        return ack


async def forgets(b: Broker) -> None:
    """Make the log forget Msg-Ids after 0.1 s, as it does after an outage of more than two minutes."""
    found = json.loads((await b.connection.request("$JS.API.STREAM.INFO.MEDIA", b"")).data)["config"]
    changed = json.dumps({**found, "duplicate_window": 100_000_000}).encode()
    answer = json.loads((await b.connection.request("$JS.API.STREAM.UPDATE.MEDIA", changed)).data)
    assert "error" not in answer


async def test_an_event_whose_acknowledgement_was_lost_is_there_once(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the broker has forgotten its Msg-Id by then."""
    monkeypatch.setattr(ledger, "_AGAIN_S", 0.4)
    stream_id = fresh_stream()
    async with broker(own_nats_server.url) as b:
        await forgets(b)
        async with worker(b, "one", Deaf(b.connection, 1.0)) as one:
            for n in range(4):
                one.tell(event(stream_id, str(n)))
        assert await told(b, stream_id) == ["0", "1", "2", "3"]


async def test_while_the_broker_is_away_events_wait_and_the_oldest_go(
    own_nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Telling never waits; with the broker everything that fits is written, in order, once."""
    monkeypatch.setattr(ledger, "MOST", 5)
    monkeypatch.setattr(ledger, "_AGAIN_S", 0.05)
    stream_id = fresh_stream()
    async with broker(own_nats_server.url, wait_s=0.2) as b:
        one = Ledger(b.publisher, b.reader, "one")
        one.tell(event(stream_id, "before"))
        await one.settled()
        own_nats_server.kill()
        for n in range(8):
            one.tell(event(stream_id, str(n)))
        own_nats_server.start()
        await asyncio.wait_for(one.settled(), PATIENCE_S)
        assert await told(b, stream_id) == ["before", "3", "4", "5", "6", "7"]
        await one.close()
