"""Stream records into the store; what a writer that died did not tell, the archive tells, once."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from infra.clock import Clock, HandClock
from infra.jetstream.reader import LogMessage
from schemas import codec, subjects
from schemas.items import Ended, Settings
from schemas.records import Broadcaster, StreamRecord
from tests.archives import LOG, Archive, archive
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.waits import eventually

pytestmark = pytest.mark.nats


def record(**changes: object) -> StreamRecord:
    """A new stream's record."""
    made = StreamRecord(
        stream_id=fresh_stream(),
        broadcaster=Broadcaster(id="ada", name="Ada"),
        title="one",
        key_sha256="0" * 64,
        created_at=1,
    )
    return msgspec.structs.replace(made, **changes)


async def items(b: Broker, stream_id: str) -> list[LogMessage]:
    """What viewers of a stream are told."""
    return await b.reader.follow_from(LOG, subjects.live(0, stream_id), 0)


async def store_has(running: Archive, wanted: StreamRecord) -> None:
    """Wait for the record's row."""

    async def there() -> bool:
        return await running.streams.get(wanted.stream_id) == wanted

    await eventually(there)


def later(seconds: float) -> Clock:
    """A clock that is *seconds* ahead of the broker's, and still."""
    import time  # noqa: PLC0415 - the one place that needs the real time for a clock that stands still

    return HandClock(int((time.time() + seconds) * 1000))


async def test_a_record_reaches_the_store(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Each revision, the last one stays; a change that was told by its writer is told once."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        made = record()
        await b.records.create(made)
        await store_has(running, made)
        changed, revision = await b.records.change(
            made.stream_id, lambda r: msgspec.structs.replace(r, title="two", change="settings")
        )
        await store_has(running, changed)
        await running.caught_up()

        (told,) = await items(b, made.stream_id)
        assert told.msg_id == subjects.settings_msg_id(made.stream_id, revision)


async def test_reactions_of_an_ended_stream_are_stored(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Sums over all parts of the counters, of reactions alone, once the stream has ended; a later revision changes nothing."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        made = record()
        await b.records.create(made)
        for name, by in (("like", 3), ("like", 2), ("sad", 1), ("arrivals", 9)):
            await b.counters.add(0, made.stream_id, name, by, f"{made.stream_id}{name}{by}")
        await store_has(running, made)
        assert await running.streams.reactions(made.stream_id) == {}
        ended, _ = await b.records.change(made.stream_id, lambda r: msgspec.structs.replace(r, status="ended"))
        await store_has(running, ended)

        async def counted() -> bool:
            return await running.streams.reactions(made.stream_id) == {"like": 5, "sad": 1}

        await eventually(counted)
        later, _ = await b.records.change(made.stream_id, lambda r: msgspec.structs.replace(r, qualities=["720p"]))
        await store_has(running, later)
        assert await counted()


async def test_a_writer_that_died_is_healed(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The record was written and nobody told: the archive tells it, and a second archive does not tell it again."""
    async with broker(own_nats_server.url) as b:
        made = record(title="told late", change="settings")
        revision = await b.records.create(made)
        for _ in range(2):
            async with archive(b, tmp_path / "db") as running:
                await store_has(running, made)
                await eventually(lambda: _told(b, made))
                await running.caught_up()

        (told,) = await items(b, made.stream_id)
        item = codec.decode_item(told.payload)
        assert isinstance(item, Settings)
        assert (item.title, item.revision) == ("told late", revision)


async def _told(b: Broker, made: StreamRecord) -> bool:
    return bool(await items(b, made.stream_id))


async def forget_ids(b: Broker) -> None:
    """Let the live log's duplicate window be 0.1 s long and pass, as five minutes do."""
    info = json.loads((await b.connection.request(f"$JS.API.STREAM.INFO.{LOG}")).data)
    config = {**info["config"], "duplicate_window": 100_000_000}
    answer = json.loads((await b.connection.request(f"$JS.API.STREAM.UPDATE.{LOG}", json.dumps(config).encode())).data)
    assert "error" not in answer
    began = b.clock.monotonic()
    await eventually(lambda: b.clock.monotonic() - began > 0.3)


async def test_an_old_change_that_was_told_is_not_told_again(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The archive was away for ten minutes; the log forgot the id: the item in the log itself says that it was told."""
    async with broker(own_nats_server.url) as b:
        made = record(change="ended", status="ended", ended_at=5)
        revision = await b.records.create(made)
        assert await b.records.announce(made, revision)
        await forget_ids(b)
        async with archive(b, tmp_path / "db", later(600)) as running:
            running.comments.gate.clear()
            await eventually(lambda: running.comments.waiting > 0)
            await store_has(running, made)
            running.comments.gate.set()
            await running.caught_up()
            await _acknowledged(b)

        assert len(await items(b, made.stream_id)) == 1


async def test_an_old_change_that_nobody_told_is_told(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Ten minutes late, once the store has all of the log and the item is not in it."""
    async with broker(own_nats_server.url) as b:
        made = record(change="ended", status="ended", ended_at=5)
        await b.records.create(made)
        await forget_ids(b)
        async with archive(b, tmp_path / "db", later(600)) as running:
            await _acknowledged(b)
            await running.caught_up()

        (told,) = await items(b, made.stream_id)
        assert isinstance(codec.decode_item(told.payload), Ended)


async def test_a_change_older_than_the_log_is_nobodys_news(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The log keeps a day: whether a change of last week was told cannot be known, and nobody waits for it."""
    async with broker(own_nats_server.url) as b:
        made = record(change="ended", status="ended", ended_at=5)
        await b.records.create(made)
        async with archive(b, tmp_path / "db", later(7 * 86400)) as running:
            await store_has(running, made)
            await _acknowledged(b)

        assert not await items(b, made.stream_id)


async def test_poison_and_deletions_hold_up_no_record(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """What is no record, or another stream's, is put aside; a deleted key is passed over; the next record is stored."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        bucket = b.bucket("streams")
        await bucket.create("broken", b"{")
        await bucket.create("other", codec.encode(record()))
        revision = await bucket.create("gone", codec.encode(record(stream_id="gone")))
        await bucket.delete("gone", revision)
        made = record()
        await b.records.create(made)
        await store_has(running, made)
        await _acknowledged(b)

        letters = await b.reader.follow_from("DEAD", subjects.dead("archive"), 0)
        assert [letter.headers["Ovation-Log"] for letter in letters] == ["KV_streams", "KV_streams"]
        assert [letter.payload[:1] for letter in letters] == [b"{", b"{"]


async def _acknowledged(b: Broker) -> None:
    async def done() -> bool:
        info = json.loads((await b.connection.request("$JS.API.CONSUMER.INFO.KV_streams.archive")).data)
        return bool(info["num_pending"] == 0 and info["num_ack_pending"] == 0)

    await eventually(done)


async def test_many_records_at_once(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """300 streams are made while the archive is away: all of them are stored within seconds."""
    async with broker(own_nats_server.url) as b:
        made = [record(title=f"stream {n}") for n in range(300)]
        await asyncio.gather(*(b.records.create(each) for each in made))
        async with archive(b, tmp_path / "db") as running:
            await _acknowledged(b)
            assert len(await running.streams.page(status="live", before=None, limit=1000)) == 300
