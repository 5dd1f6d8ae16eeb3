"""A store that has less than it had, under a running archive or a stopped one: what the log still has is stored again."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from infra.environment import load
from infra.errors import Unavailable
from infra.sqlite import Database
from infra.stores import LoggedItem
from ovation.verify import differences
from schemas import subjects
from tests.archives import LOG, Archive, archive, say
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.factories import comment
from tests.waits import eventually
from workers.archive import live

pytestmark = pytest.mark.nats

END = 2**53
AWAY = "the store is away"


async def post(b: Broker, stream_id: str, numbers: range) -> list[int]:
    """Comments *numbers* of a stream; their seqs, ascending."""
    return sorted(await asyncio.gather(*(say(b, stream_id, comment(n), f"{stream_id}:{n}") for n in numbers)))


async def stored(running: Archive, stream_id: str) -> list[int]:
    """The seqs of a stream in the store."""
    return [item.seq for item in await running.comments.range(stream_id, 0, END, 100_000)]


async def verified(b: Broker, running: Archive, stream_id: str) -> list[str]:
    """What `ovation verify` says beside its last line."""
    return [line async for line in differences(b.reader, running.comments, 0, stream_id)][:-1]


def copied(source: Path, target: Path) -> None:
    """Make *target* what *source* is, in one transaction, whoever has it open."""
    one, other = sqlite3.connect(source), sqlite3.connect(target)
    with one, other:
        one.backup(other)
    one.close()
    other.close()


@pytest.mark.parametrize("fails", [True, False])
async def test_a_store_that_lost_its_last_seconds_is_filled_again(
    own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """An older copy comes back under a running archive, after an outage or a silence: nothing is missing below the mark.

    What is read again is cut off in the middle once, and goes on.
    """
    monkeypatch.setattr(live, "REFILL_BATCH", 40)
    if not fails:
        monkeypatch.setattr(live, "SURE_S", 0.0)
    path, copy = tmp_path / "db", tmp_path / "copy"
    async with broker(own_nats_server.url) as b, archive(b, path) as running:
        stream_id = fresh_stream()
        seqs = await post(b, stream_id, range(100))
        await running.caught_up()
        copied(path, copy)
        seqs += await post(b, stream_id, range(100, 300))
        await running.caught_up()
        tries = 0

        def away(items: Sequence[LoggedItem]) -> None:
            nonlocal tries
            if fails and tries == 0:
                tries += 1
                raise Unavailable(AWAY)
            if items and items[0].seq > seqs[200]:
                tries += 1
                if tries == 2 - (not fails):
                    raise Unavailable(AWAY)

        running.comments.before = away
        copied(copy, path)
        seqs += await post(b, stream_id, range(300, 310))
        await running.caught_up()
        assert tries >= 2
        assert await stored(running, stream_id) == seqs
        assert await verified(b, running, stream_id) == []


async def ended(*archives: Archive) -> None:
    """As kill -9 does, but for the sockets."""
    for each in archives:
        each.task.cancel()
        await asyncio.wait([each.task])
        await each.database.close()


@pytest.mark.parametrize("restart", [True, False])
async def test_what_was_acknowledged_out_of_order_is_filled_again(
    own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, restart: bool
) -> None:
    """One archive holds the oldest, another has stored the rest; an old copy is put back: all is stored.

    At the next start; or, where the mark fell, while both run, also if the store is away once more in the middle of it. The
    mark waits for what is held.
    """
    monkeypatch.setattr(live, "SURE_S", 0.0)
    monkeypatch.setattr(live, "REFILL_BATCH", 40)
    path, copy = tmp_path / "db", tmp_path / "copy"
    async with broker(own_nats_server.url, load({"OVATION_ARCHIVE_BATCH": "50"})) as b:
        stream_id = fresh_stream()
        holder = Archive(b, await Database.open(path), b.clock)
        seqs = await post(b, stream_id, range(5))
        await holder.caught_up()
        copied(path, copy)
        if not restart:
            seqs += await post(b, stream_id, range(5, 15))
            await holder.caught_up()
        holder.comments.gate.clear()
        held = len(seqs)
        seqs += await post(b, stream_id, range(held, held + 45))
        await eventually(lambda: holder.comments.waiting > 0)
        other = Archive(b, await Database.open(path), b.clock)
        seqs += await post(b, stream_id, range(len(seqs), len(seqs) + 300))

        async def the_rest_is_acknowledged() -> bool:
            state = await other.pull.state()
            return state.delivered == seqs[-1] and state.unacknowledged + state.waiting <= 50

        await eventually(the_rest_is_acknowledged)
        assert len(await stored(other, stream_id)) >= 300
        assert await other.comments.archived_through(LOG) < seqs[held]
        if restart:
            await ended(holder, other)
            copied(copy, path)
            other = Archive(b, await Database.open(path), b.clock)
        else:
            await filled_meanwhile(b, other, stream_id, seqs, copy)
            assert await other.comments.archived_through(LOG) < seqs[held]
            await ended(holder)
        await other.caught_up()
        assert await stored(other, stream_id) == seqs
        assert await verified(b, other, stream_id) == []
        await ended(other)


async def filled_meanwhile(b: Broker, running: Archive, stream_id: str, seqs: list[int], copy: Path) -> None:
    """Put *copy* back under the archive, and post: all is stored, although the store is away in the middle of it."""
    tries = 0

    def away(items: Sequence[LoggedItem]) -> None:
        nonlocal tries
        if items and seqs[100] < items[0].seq < seqs[200]:
            tries += 1
            if tries == 1:
                raise Unavailable(AWAY)

    running.comments.before = away
    copied(copy, running.database.path)
    seqs += await post(b, stream_id, range(len(seqs), len(seqs) + 5))

    async def all_are_there() -> bool:
        return await stored(running, stream_id) == seqs

    await eventually(all_are_there)
    assert tries > 1


async def test_a_refused_row_does_not_stop_the_filling(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """A row that was dead-lettered long ago is refused again while the store is filled: it alone is left out."""
    path, copy = tmp_path / "db", tmp_path / "copy"
    await (await Database.open(path)).close()
    direct = sqlite3.connect(path)
    refusal = "WHEN NEW.msg_id LIKE '%:13' BEGIN SELECT RAISE(ABORT, 'not that one'); END"
    direct.execute(f"CREATE TRIGGER unwilling BEFORE INSERT ON items {refusal}")
    direct.close()
    copied(path, copy)
    async with broker(own_nats_server.url, load({"OVATION_ARCHIVE_MAX_DELIVER": "1"})) as b:
        stream_id = fresh_stream()
        seqs = await post(b, stream_id, range(30))
        async with archive(b, path) as first:
            await first.caught_up()
            [letter] = await b.reader.follow_from("DEAD", subjects.dead("archive"), 0)
        copied(copy, path)
        async with archive(b, path) as second:
            await second.caught_up()
            assert await stored(second, stream_id) == [seq for seq in seqs if str(seq) != letter.headers["Ovation-Seq"]]


async def test_what_the_log_forgot_unarchived_is_said(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The archive was away for longer than the log keeps: it says what is lost, once, and goes on."""
    path = tmp_path / "db"
    async with broker(own_nats_server.url) as b:
        stream_id = fresh_stream()
        with capture_logs() as lines:
            seqs = await post(b, stream_id, range(10))
            async with archive(b, path) as first:
                await first.caught_up()
        assert [line for line in lines if line["event"] == "lost"] == []
        lost = await post(b, stream_id, range(10, 20))
        await b.connection.request(f"$JS.API.STREAM.PURGE.{LOG}", b'{"seq": %d}' % (lost[-1] + 1))
        seqs += await post(b, stream_id, range(20, 30))
        with capture_logs() as lines:
            async with archive(b, path) as second:
                await second.caught_up()
                assert await stored(second, stream_id) == seqs
        [line] = [line for line in lines if line["event"] == "lost"]
        assert (line["first"], line["last"], line["log_level"]) == (lost[0], lost[-1], "error")
