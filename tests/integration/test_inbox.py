"""Questions on one inbox over a real nats-server: each gets its own answer, or an end."""

import asyncio

import pytest
from nats.aio.msg import Msg

from infra.errors import Unavailable
from infra.jetstream.inbox import MAX_WAITING
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker
from tests.waits import eventually

pytestmark = pytest.mark.nats


async def _echo(b: Broker, subject: str) -> None:
    async def answer(msg: Msg) -> None:
        await msg.respond(msg.data)

    await b.connection.subscribe(subject, answer)


async def _silent(b: Broker, subject: str) -> list[Msg]:
    """Somebody who listens and never answers; what was asked."""
    asked: list[Msg] = []

    async def keep(msg: Msg) -> None:
        asked.append(msg)

    await b.connection.subscribe(subject, keep)
    return asked


async def test_each_question_gets_its_own_answer(nats_server: NatsServer) -> None:
    """Thousands in flight at once, large and small, with headers and without."""
    async with broker(nats_server.url) as b, broker(nats_server.url, apply=False) as other:
        await _echo(other, "test.echo")
        asked = [b"%d" % n * (1 + n % 7 * 100) for n in range(2000)]
        header = b"A: b\r\n"
        answers = [b.connection.inbox.ask("test.echo", each, header if n % 2 else b"") for n, each in enumerate(asked)]

        assert asked == list(await asyncio.gather(*answers))


async def test_a_subject_without_a_listener_is_told_at_once(nats_server: NatsServer) -> None:
    """The server's own "nobody" becomes Unavailable, and names the subject."""
    async with broker(nats_server.url) as b:
        with pytest.raises(Unavailable, match=r"nobody answers on test\.nobody"):
            await b.connection.inbox.ask("test.nobody", b"")


async def test_silence_ends_and_a_late_answer_is_nobodys(nats_server: NatsServer) -> None:
    """A question has its time; what comes after it, or after its asker left, reaches nobody else."""
    async with broker(nats_server.url) as b:
        asked = await _silent(b, "test.silent")
        late = b.connection.inbox.ask("test.silent", b"late")
        left = b.connection.inbox.ask("test.silent", b"left")
        left.cancel()
        with pytest.raises(Unavailable, match=r"did not answer on test\.silent"):
            await late
        for msg in asked:
            await msg.respond(b"at last")
        await _echo(b, "test.echo")

        assert 2 == len(asked)
        assert b"x" == await b.connection.inbox.ask("test.echo", b"x")


async def test_a_lost_connection_ends_what_waits(own_nats_server: NatsServer) -> None:
    """At once, not after each question's time; and the same inbox answers again when the broker is back."""
    async with broker(own_nats_server.url) as b:
        asked = await _silent(b, "test.silent")
        waiting = b.connection.inbox.ask("test.silent", b"")
        await eventually(lambda: bool(asked))
        own_nats_server.kill()
        with pytest.raises(Unavailable, match="connection to NATS was lost"):
            await waiting
        with pytest.raises(Unavailable, match="away"):
            await b.connection.inbox.ask("test.silent", b"")
        own_nats_server.start()
        await eventually(b.connection.up.is_set)
        await _echo(b, "test.echo")
        assert b"again" == await b.connection.inbox.ask("test.echo", b"again")


async def test_what_waits_is_bounded(nats_server: NatsServer) -> None:
    """A broker that says nothing fills no memory: past the bound a question is refused."""
    async with broker(nats_server.url) as b:
        await _silent(b, "test.silent")
        waiting = [b.connection.inbox.ask("test.silent", b"") for _ in range(MAX_WAITING)]
        with pytest.raises(Unavailable, match="waited for already"):
            b.connection.inbox.ask("test.silent", b"")
        b.connection.inbox.lose()
        assert {Unavailable} == {type(each) for each in await asyncio.gather(*waiting, return_exceptions=True)}
