"""Reads of single messages from a real log: what is there, what is not, and why nothing can be said."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest

from infra.errors import Unavailable
from infra.jetstream.reader import LogMessage, Reader
from schemas import subjects
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream

pytestmark = pytest.mark.nats

LOG = "LIVE_0"
READS: list[Callable[[Reader, str, str], Awaitable[LogMessage | None]]] = [
    lambda reader, log, _: reader.at(log, 1),
    lambda reader, log, subject: reader.last(log, subject),
    lambda reader, log, subject: reader.first_after(log, subject, 0),
    lambda reader, log, subject: reader.tails(log, [subject]),  # type: ignore[list-item,return-value]  # as a batch says it
]


async def _stored(b: Broker, subject: str, payload: bytes) -> int:
    return (await b.publisher.publish(subject, payload, uuid.uuid4().hex)).seq


def _told(message: LogMessage | None) -> tuple[object, ...] | None:
    """All but the headers that only a batch has."""
    return (message.subject, message.seq, message.at_ms, message.payload, message.msg_id) if message else None


async def test_a_single_message_is_what_a_range_has(nats_server: NatsServer) -> None:
    """By its sequence, as the newest and as the next one: subject, time, payload and id; many at once, each its own."""
    async with broker(nats_server.url) as b:
        subject = subjects.live(0, fresh_stream())
        seqs = [await _stored(b, subject, b"\r\n%d" % n * n) for n in range(50)]
        truth = [_told(message) for message in await b.reader.range(LOG, subject, seqs[0] - 1, seqs[-1])]
        found = await asyncio.gather(*(b.reader.at(LOG, seq) for seq in seqs))

        assert [each[1] for each in truth if each] == seqs
        assert [_told(message) for message in found] == truth
        assert _told(await b.reader.last(LOG, subject)) == truth[-1]
        assert [_told(await b.reader.first_after(LOG, subject, seq)) for seq in seqs] == [*truth[1:], None]


async def test_what_is_not_there_is_nothing(nats_server: NatsServer) -> None:
    """A sequence that is not yet, one that was erased, a subject nobody wrote to."""
    async with broker(nats_server.url) as b:
        subject = subjects.live(0, fresh_stream())
        seq = await _stored(b, subject, b"gone")
        await b.connection.request(f"$JS.API.STREAM.MSG.DELETE.{LOG}", b'{"seq": %d, "no_erase": true}' % seq)

        assert await b.reader.at(LOG, seq + 1_000_000) is None
        assert await b.reader.at(LOG, seq) is None
        assert await b.reader.last(LOG, subject) is None
        assert await b.reader.first_after(LOG, subject, 0) is None


@pytest.mark.parametrize("read", READS)
async def test_a_log_that_is_not_there_says_so(
    nats_server: NatsServer, read: Callable[[Reader, str, str], Awaitable[LogMessage | None]]
) -> None:
    """At once, whichever way it is read."""
    async with broker(nats_server.url) as b:
        with pytest.raises(Unavailable, match="no server answers for NOWHERE: JetStream is starting"):
            await read(b.reader, "NOWHERE", "nobody")


async def test_a_refusal_is_told(nats_server: NatsServer) -> None:
    """What the log takes for no question."""
    async with broker(nats_server.url) as b:
        with pytest.raises(Unavailable, match=f"{LOG} refused a read: 408"):
            await b.reader.at(LOG, 0)


@pytest.mark.parametrize("read", READS)
async def test_a_broker_that_stands_still_holds_nobody(
    own_nats_server: NatsServer,
    read: Callable[[Reader, str, str], Awaitable[LogMessage | None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A read ends when its time is over, and is forgotten; afterwards the same reader reads again."""
    async with broker(own_nats_server.url) as b:
        await read(b.reader, LOG, "nobody")
        monkeypatch.setattr("infra.jetstream.reader.REQUEST_S", 0.2)
        own_nats_server.pause()
        with pytest.raises(Unavailable, match=f"{LOG} did not answer a read within 0.2 s"):
            await read(b.reader, LOG, "nobody")
        own_nats_server.resume()
        monkeypatch.undo()

        assert not await read(b.reader, LOG, "nobody")
        assert not b.connection.inbox._listening  # noqa: SLF001 - what it would fill memory with
