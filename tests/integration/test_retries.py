"""Retries at the edges of what is remembered: a key is one comment, and an old token is not a new one."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from gateway.history import History
from gateway.patience import SILENT_S
from gateway.removals import Removals
from gateway.unarchived import LATELY_S
from infra.clock import HandClock
from infra.errors import LimitReached, Unavailable
from infra.jetstream.reader import LogMessage
from infra.limit import Limit
from infra.sqlite import Database, SqliteComments
from infra.stores import CommentStore
from schemas import codec, subjects
from schemas.items import Comment, Removed
from schemas.records import Broadcaster, StreamRecord
from tests.backends.nats import NatsServer
from tests.boundary import Hanging, boundary
from tests.broker import Broker, broker, fresh_stream
from tests.factories import comment
from tests.waits import eventually

pytestmark = pytest.mark.nats

#: What the test's own topology says of this limit.
FIVE = Limit(5, 30)


async def _left_behind(b: Broker, keys: tuple[str, ...], msg_id: str) -> None:
    """A token of a try that came to nothing, a moment ago."""
    await b.limits.take("user_stream", FIVE, keys, msg_id)
    since = time.monotonic()
    await eventually(lambda: time.monotonic() - since > 0.4)


async def _tokens_of(b: Broker, keys: tuple[str, ...]) -> list[LogMessage]:
    return await b.reader.follow_from("LIMITS_user_stream", subjects.limit("user_stream", *keys), 0)


async def _tokens(b: Broker, keys: tuple[str, ...]) -> int:
    return len(await _tokens_of(b, keys))


async def test_a_token_that_was_left_behind_is_not_used_again(nats_server: NatsServer) -> None:
    """It would leave the window while the comment posted on it is still in there; a new one takes its place, full or not."""
    async with broker(nats_server.url) as b:
        keys, first = (uuid.uuid4().hex, "ada"), uuid.uuid4().hex
        await _left_behind(b, keys, first)
        [old] = await _tokens_of(b, keys)
        await b.limits.take("user_stream", FIVE, keys, first)
        [new] = await _tokens_of(b, keys)
        assert new.at_ms - old.at_ms >= 400
        for _ in range(4):
            await b.limits.take("user_stream", FIVE, keys, uuid.uuid4().hex)
        with pytest.raises(LimitReached):
            await b.limits.take("user_stream", FIVE, keys, uuid.uuid4().hex)

        since = time.monotonic()
        await eventually(lambda: time.monotonic() - since > 0.4)
        await b.limits.take("user_stream", FIVE, keys, first)
        tokens = await _tokens_of(b, keys)
        assert [len(tokens), new.seq in [token.seq for token in tokens]] == [5, False]


async def test_the_token_of_what_is_done_counts_for_its_retry(nats_server: NatsServer) -> None:
    """A retry of a comment that is posted spends nothing, however long ago its token was taken."""

    async def done() -> bool:
        return True

    async with broker(nats_server.url) as b:
        keys, first = (uuid.uuid4().hex, "ada"), uuid.uuid4().hex
        await _left_behind(b, keys, first)
        for _ in range(3):
            await b.limits.take("user_stream", FIVE, keys, first, done)

        assert await _tokens(b, keys) == 1


async def test_retries_at_the_same_time_take_one_token(nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that tries again on another gateway before the first has answered spends one token in all."""
    monkeypatch.setattr("infra.jetstream.limits.LIMIT_MARGIN_MS", 60_000)
    async with broker(nats_server.url) as b, broker(nats_server.url) as c:
        keys, first = (uuid.uuid4().hex, "ada"), uuid.uuid4().hex
        for each in (b, c, b, c):
            await each.limits.take("user_stream", FIVE, keys, first)

        assert await _tokens(b, keys) == 1


async def test_a_key_is_known_while_the_archive_is_long_away(nats_server: NatsServer, tmp_path: Path) -> None:
    """The log forgets keys after five minutes; what the archive has not taken by then is found all the same."""
    async with broker(nats_server.url) as b:
        database = await Database.open(tmp_path / "store.sqlite")
        stream_id = fresh_stream()
        record = _record(stream_id)
        key = uuid.uuid4().hex
        ack = await b.publisher.publish(subjects.live(0, stream_id), codec.encode(comment(1)), key)
        later = HandClock(int(time.time() * 1000) + 240_000)
        history = History(SqliteComments(database), b.reader, later)

        assert await history.by_msg_id_seq(record, key) == ack.seq
        assert await history.by_msg_id_seq(record, "another") is None
        await database.close()


async def test_posting_goes_on_while_the_archive_is_long_away(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hundreds of posts ask for their keys: the log is read for all of them together, and each has its own answer."""
    async with broker(nats_server.url) as b:
        database = await Database.open(tmp_path / "store.sqlite")
        stream_id = fresh_stream()
        record = _record(stream_id)
        keys = [uuid.uuid4().hex for _ in range(600)]
        payload = codec.encode(comment(1))
        acks = await asyncio.gather(*(b.publisher.publish(subjects.live(0, stream_id), payload, key) for key in keys))
        history = History(SqliteComments(database), b.reader, HandClock(int(time.time() * 1000) + 240_000))
        reads: list[str] = []
        for name in ("first_after", "follow_from"):
            monkeypatch.setattr(b.reader, name, _counted(getattr(b.reader, name), name, reads))
        found = await asyncio.gather(*(history.by_msg_id_seq(record, key) for key in [*keys, "another"]))

        assert [ack.seq for ack in acks] == found[:-1]
        assert found[-1] is None
        assert ["first_after", "follow_from"] == sorted(reads)
        await database.close()


async def test_a_look_that_fails_is_forgotten(nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever went wrong once, the next post asks again: it would be refused for as long as the gateway lives otherwise."""
    async with broker(nats_server.url) as b:
        database = await Database.open(tmp_path / "store.sqlite")
        record = _record(fresh_stream())
        await b.publisher.publish(subjects.live(0, record.stream_id), codec.encode(comment(1)), uuid.uuid4().hex)
        clock = HandClock(int(time.time() * 1000) + 240_000)
        history = History(SqliteComments(database), b.reader, clock)
        for name in ("first_after", "follow_from"):
            clock.advance(60.0)
            with monkeypatch.context() as broken:
                broken.setattr(b.reader, name, _broken)
                with pytest.raises(ZeroDivisionError):
                    await history.by_msg_id_seq(record, "a key")
            assert await history.by_msg_id_seq(record, "a key") is None
        await database.close()


async def test_a_retry_needs_no_store(own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it hangs, who posts again is told the comment and whether it is removed, archived or not; nothing is made up."""
    monkeypatch.setattr("gateway.originals.LOOKED_AT", 12)
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        said = [await it.say(comment(n)) for n in range(1, 21)]
        said += [await it.say(Removed(comment_id=number, reason="author")) for number in ("15", "20")]
        await it.archive(10**6)
        said += [await it.say(comment(21)), await it.say(comment(22))]
        for number in ("19", "22"):
            await it.say(Removed(comment_id=number, reason="author"))
        hanging, clock = Hanging(it.store), HandClock(it.broker.clock.now_ms())
        history = History(cast("CommentStore", hanging), it.broker.reader, clock, store_s=0.3)

        async def original(number: int) -> tuple[str, bool] | None:
            seq = next(each.seq for each in it.said if isinstance(each.item, Comment) and each.item.comment_id == str(number))
            found = await asyncio.wait_for(history.original(it.record, seq), 20)
            return found and (found[0].comment_id, found[2])

        numbers = (15, 18, 19, 20, 21, 22)
        wanted = [(str(number), number not in (18, 21)) for number in numbers]
        assert [await original(number) for number in numbers] == wanted
        for hangs in (True, False):
            hanging.hangs = hangs
            clock.advance(LATELY_S)
            assert [await original(number) for number in numbers] == wanted
            if hangs:
                # More came after it than anybody looks at.
                with pytest.raises(Unavailable, match="more than 12 items"):
                    await original(5)
        clock.advance(SILENT_S)
        assert await original(5) == ("5", False)
        await it.trim_to(said[10])
        assert await original(5) == ("5", False)
        assert await history.original(it.record, said[20]) is None


async def test_too_much_for_an_archive_that_is_away_is_said(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the bound a stream's history is unavailable, without reading it again each time, until the archive comes on."""
    monkeypatch.setattr("gateway.unarchived.MOST", 20)
    async with broker(nats_server.url) as b:
        database = await Database.open(tmp_path / "store.sqlite")
        store, record = SqliteComments(database), _record(fresh_stream())
        publish = partial(b.publisher.publish, subjects.live(0, record.stream_id))
        acks = [await publish(codec.encode(comment(n)), uuid.uuid4().hex) for n in range(21)]
        clock = HandClock(int(time.time() * 1000) + 240_000)
        history = History(store, b.reader, clock)
        reads: list[str] = []
        monkeypatch.setattr(b.reader, "follow_from", _counted(b.reader.follow_from, "follow_from", reads))
        for _ in range(5):
            with pytest.raises(Unavailable, match="more than 20 items of this stream in LIVE_0 wait"):
                await history.comment(record, "1")
            with pytest.raises(Unavailable, match="the archive is behind"):
                await history.by_msg_id_seq(record, "a key")
        assert reads == ["follow_from"]
        # The stream itself can be looked at and watched; a list of streams does not fail for one of them.
        assert (await history.total(record), await history.tail(record)) == ((0, False), acks[20].seq)
        assert await history.newest(record, acks[20].seq, 50, Removals()) == ([], acks[20].seq)

        await store.write([], {subjects.live_log(0): acks[15].seq})
        clock.advance(LATELY_S)
        assert await history.comment(record, "1") is None
        assert await history.total(record) == (21 - 16, True)
        assert await history.by_msg_id_seq(record, "a key") is None
        await database.close()


async def test_those_who_ask_at_once_read_once(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred questions at once about a stream that waits for its archive read its messages once."""
    async with broker(nats_server.url) as b:
        database = await Database.open(tmp_path / "store.sqlite")
        record = _record(fresh_stream())
        for n in range(50):
            await b.publisher.publish(subjects.live(0, record.stream_id), codec.encode(comment(n)), uuid.uuid4().hex)
        history = History(SqliteComments(database), b.reader, HandClock(int(time.time() * 1000)))
        sizes: list[int] = []
        follow = b.reader.follow_from

        async def following(log: str, subject: str, after: int, most: int) -> list[LogMessage]:
            found = await follow(log, subject, after, most)
            sizes.append(len(found))
            return found

        monkeypatch.setattr(b.reader, "follow_from", following)
        tails = await asyncio.gather(*(history.tail(record) for _ in range(100)))

        assert len(set(tails)) == 1
        assert sizes == [50]
        await database.close()


def _record(stream_id: str) -> StreamRecord:
    return StreamRecord(
        stream_id=stream_id, broadcaster=Broadcaster(id="ada", name="Ada"), title="t", key_sha256="", created_at=1
    )


async def _broken(*_: object) -> None:
    raise ZeroDivisionError


def _counted(read: Callable[..., Awaitable[object]], name: str, reads: list[str]) -> Callable[..., Awaitable[object]]:
    """The same, taking note of each call."""

    async def counting(*arguments: object) -> object:
        reads.append(name)
        return await read(*arguments)

    return counting
