"""The archive over a real broker and a real file: everything, once, and never a false word about how far it is."""

import asyncio
import random
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.environment import load
from infra.jetstream.pull import Pull
from infra.stores import LoggedItem
from schemas import subjects
from schemas.items import Purged
from tests.archives import LOG, Archive, archive, say
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.factories import comment, removed
from tests.waits import eventually

pytestmark = pytest.mark.nats

END = 2**53
#: The consumer's patience is five seconds: what is archived sooner was not waited for.
REDELIVERED_S = 4.0


async def post(b: Broker, stream_id: str, numbers: range) -> list[int]:
    """Comments *numbers* of a stream, concurrently as people post; their seqs, ascending."""
    said = (say(b, stream_id, comment(n), f"{stream_id}:{n}") for n in numbers)
    return sorted(await asyncio.gather(*said))


async def stored(running: Archive, stream_id: str) -> list[int]:
    """The seqs of a stream in the store."""
    return [item.seq for item in await running.comments.range(stream_id, 0, END, 100_000)]


async def check_watermark(b: Broker, running: Archive) -> int:
    """Everything in the log up to the watermark is in the store; the watermark."""
    through = await running.comments.archived_through(LOG)
    state = await b.reader.state(LOG)
    for message in await b.reader.range(LOG, "live.0.*", state.first - 1, min(through, state.last)):
        _, stream_id = subjects.parse_live(message.subject)
        assert await running.comments.range(stream_id, message.seq - 1, message.seq, 1), f"{message.seq} <= {through}"
    return through


async def test_the_store_becomes_what_the_log_is(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Three streams, 900 comments, removals and a purge: payload, time, key and standing of each, and the totals."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        streams = [fresh_stream() for _ in range(3)]
        await asyncio.gather(*(post(b, each, range(300)) for each in streams))
        await say(b, streams[0], removed(7), "remove:7")
        await say(b, streams[1], Purged(user_id="ada"), "purge")
        await running.caught_up()

        assert [await running.comments.total(each) for each in streams] == [299, 0, 300]
        for each in streams:
            log = await b.reader.follow_from(LOG, subjects.live(0, each), 0)
            rows = await running.comments.range(each, 0, END, 1000)
            assert [(m.seq, m.at_ms, m.payload, m.msg_id) for m in log] == [(r.seq, r.at_ms, r.payload, r.msg_id) for r in rows]
        assert await check_watermark(b, running) == (await b.reader.state(LOG)).last
        await eventually(lambda: running.trouble == "")


async def test_nothing_is_acknowledged_before_the_commit(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """While the store hangs in its write, the consumer's ack floor stands; it follows the commit."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        await post(b, stream_id, range(5))
        await running.caught_up()
        running.comments.gate.clear()
        floor = (await b.reader.state(LOG)).last
        seqs = await post(b, stream_id, range(5, 10))
        await eventually(lambda: running.comments.waiting > 0)
        for _ in range(20):
            assert await ack_floor(b) <= floor
            assert await running.comments.archived_through(LOG) == floor
        running.comments.gate.set()
        await running.caught_up()

        async def acknowledged() -> bool:
            return await ack_floor(b) == seqs[-1]

        await eventually(acknowledged)


async def ack_floor(b: Broker) -> int:
    """The archive's, as the server says."""
    return (await Pull(b.connection, LOG, "archive").state()).ack_floor


async def test_poison_holds_up_nothing(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Broken JSON, an unknown type and a deep document among comments: the comments are stored, the rest is put aside."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        before = await post(b, stream_id, range(3))
        poison = [b"\xff not json", b'{"type":"teleported"}', b"[" * 5000, b"", b'{"type":"comment"}']
        bad = [(await b.publisher.publish(subjects.live(0, stream_id), each)).seq for each in poison]
        after = await post(b, stream_id, range(3, 6))
        await running.caught_up()

        assert [*before, *after] == await stored(running, stream_id)
        letters = await b.reader.follow_from("DEAD", subjects.dead("archive"), 0)
        assert [str(seq) for seq in bad] == [letter.headers["Ovation-Seq"] for letter in letters]
        assert poison == [letter.payload for letter in letters]
        assert all(letter.headers["Ovation-Reason"].startswith("no item of a live log") for letter in letters)


async def test_a_crash_in_the_handler_is_the_messages_own(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """One comment makes the store crash with a bug: the others are stored at once, it is tried as often as allowed."""
    settings = {"OVATION_ARCHIVE_MAX_DELIVER": "3"}
    async with broker(own_nats_server.url, load(settings)) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        tries = 0

        def crash(items: Sequence[LoggedItem]) -> None:
            nonlocal tries
            if any(item.msg_id == f"{stream_id}:13" for item in items):
                tries += len(items) == 1
                raise ZeroDivisionError

        running.comments.before = crash
        seqs = await post(b, stream_id, range(30))
        await running.caught_up()

        letters = await b.reader.follow_from("DEAD", subjects.dead("archive"), 0)
        assert len(letters) == 1
        assert "crashed 3 times, last with ZeroDivisionError" in letters[0].headers["Ovation-Reason"]
        assert [seq for seq in seqs if str(seq) != letters[0].headers["Ovation-Seq"]] == await stored(running, stream_id)
        assert tries == 3


async def test_a_full_disk_is_waited_for(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The archive says what it waits for, acknowledges nothing and gives up nothing; with room all of it is stored."""
    async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        await running.database.write(lambda db: db.execute("PRAGMA max_page_count = 45"))
        seqs = await post(b, stream_id, range(1000))
        await eventually(lambda: "is full" in running.trouble)
        through = await check_watermark(b, running)
        assert through < seqs[-1]
        # Longer than the consumer's patience of five seconds: what is held must not come again for ever.
        began = b.clock.monotonic()
        await eventually(lambda: b.clock.monotonic() - began > 6)
        await running.database.write(lambda db: db.execute("PRAGMA max_page_count = 1000000"))
        await running.caught_up()

        assert seqs == await stored(running, stream_id)
        await eventually(lambda: running.trouble == "")
        assert not await b.reader.follow_from("DEAD", subjects.dead("archive"), 0)


@pytest.mark.chaos
async def test_a_killed_server_costs_nothing(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Kill -9 of nats-server twice while people post: each acknowledged comment is stored, once."""
    async with broker(own_nats_server.url, wait_s=30) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        seqs: list[int] = []
        for n in range(2):
            posting = asyncio.create_task(post(b, stream_id, range(n * 200, n * 200 + 200)))

            def some_are_stored(target: int = len(seqs) + 20) -> bool:
                return sum(len(items) for items, _ in running.comments.commits) >= target

            await eventually(some_are_stored)
            own_nats_server.kill()
            own_nats_server.start()
            seqs += await posting
        await running.caught_up()

        assert sorted(seqs) == await stored(running, stream_id)
        assert await running.comments.total(stream_id) == 400
        await check_watermark(b, running)


@pytest.mark.chaos
@pytest.mark.parametrize("kill_at", [1, 3])
async def test_the_watermark_never_passes_what_a_killed_archive_held(
    own_nats_server: NatsServer, tmp_path: Path, kill_at: int
) -> None:
    """Killed between fetch and commit; the next one gets newer comments first and must not claim the ones in the hole."""
    path = tmp_path / "db"
    async with broker(own_nats_server.url) as b:
        stream_id = fresh_stream()
        seqs: list[int] = []
        arguments = ("-m", "tests.integration.killed_archive", own_nats_server.url, str(path), str(kill_at))
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        held = asyncio.create_task(process.stdout.readline())

        async def is_held() -> bool:
            seqs.extend(await post(b, stream_id, range(len(seqs), len(seqs) + 30)))
            return held.done()

        await eventually(is_held)
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        seqs += await post(b, stream_id, range(len(seqs), len(seqs) + 200))
        async with archive(b, path) as running:
            through: list[int] = []

            async def newer_ones_are_stored_first() -> bool:
                through.append(await check_watermark(b, running))
                return bool(running.comments.commits)

            await eventually(newer_ones_are_stored_first)
            seqs += await post(b, stream_id, range(len(seqs), len(seqs) + 50))

            async def all_is_archived() -> bool:
                through.append(await check_watermark(b, running))
                return through[-1] >= seqs[-1]

            await eventually(all_is_archived)
            assert sorted(seqs) == await stored(running, stream_id)
            assert through == sorted(through)
            first_hole = min(through)
            assert first_hole < seqs[-51], "the hole was there when the newer comments had been committed"


async def test_a_stopped_archive_leaves_nothing_half_done(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """SIGTERM in the middle: what is in hand is settled, and a successor goes on at once, in one of three tries."""
    async with broker(own_nats_server.url) as b:
        stream_id, seqs, took = fresh_stream(), list[int](), list[float]()
        while len(took) < 3 and not (took and took[-1] < REDELIVERED_S):
            seqs += await post(b, stream_id, range(len(seqs), len(seqs) + 2000))
            async with archive(b, tmp_path / "db") as first:
                await eventually(lambda: bool(first.comments.commits))
            async with archive(b, tmp_path / "db") as second:
                began = b.clock.monotonic()
                await second.caught_up()
                took.append(b.clock.monotonic() - began)
                assert seqs == await stored(second, stream_id)
        assert took[-1] < REDELIVERED_S, took


@pytest.mark.parametrize("kept", [0, 1])
async def test_a_store_that_was_lost_is_filled_from_the_log(own_nats_server: NatsServer, tmp_path: Path, kept: int) -> None:
    """The file is gone (or an old copy is back) though all was acknowledged: what the log still has is stored again."""
    path, backup = tmp_path / "db", tmp_path / "backup"
    async with broker(own_nats_server.url) as b:
        stream_id = fresh_stream()
        seqs = await post(b, stream_id, range(100))
        async with archive(b, path) as first:
            await first.caught_up()
        shutil.copy(path, backup)
        async with archive(b, path) as second:
            seqs += await post(b, stream_id, range(100, 1600))
            await second.caught_up()
        path.unlink()
        if kept:
            shutil.copy(backup, path)
        await b.publisher.publish(subjects.live(0, stream_id), b"poison")
        seqs += await post(b, stream_id, range(1600, 1610))
        async with archive(b, path) as third:
            await third.caught_up()

            assert seqs == await stored(third, stream_id)
            assert await third.comments.total(stream_id) == 1610


async def test_two_archives_at_once_do_no_harm(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """A rolling restart runs two for a while: each gets a part, the watermark stays true, all is stored."""
    path = tmp_path / "db"
    chance = random.Random(1)
    async with broker(own_nats_server.url) as b, archive(b, path) as one, archive(b, path) as two:
        stream_id = fresh_stream()
        seqs: list[int] = []
        for _ in range(10):
            seqs += await post(b, stream_id, range(len(seqs), len(seqs) + chance.randint(1, 60)))
            await check_watermark(b, one)
        await two.caught_up()

        assert sorted(seqs) == await stored(one, stream_id)
