"""What a log has no longer: forgotten before the archive is known to have it, or lost in a power cut."""

import asyncio
import itertools
import shutil
from pathlib import Path

import pytest

from gateway.history import History
from gateway.ranges import STANDS_S, Missing
from infra.clock import HandClock
from infra.errors import Unavailable
from schemas.items import Removed
from tests.backends.nats import NatsServer
from tests.boundary import LOG, Boundary, boundary, told
from tests.factories import comment
from tests.waits import eventually

pytestmark = [pytest.mark.nats]


async def test_rows_above_a_mark_that_stands_are_not_lost(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The log forgot what was stored there: who catches up waits for the mark, and is told of a loss if it does not move."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        said = [await it.say(comment(n)) for n in range(1, 31)]
        await it.archive(10)
        await it.archive_only(it.said[12:20])
        await it.trim_to(said[20])
        clock = HandClock(it.broker.clock.now_ms())
        history = History(it.store, it.broker.reader, clock)
        removals = await history.removals(it.record)
        for _ in range(2):
            clock.advance(STANDS_S / 4)
            with pytest.raises(Unavailable, match="than it is known to have whole"):
                await history.range(it.record, said[3], said[-1], 1000, removals)
        # Of a range in which nobody has anything nothing will be known.
        items, missing = await history.range(it.record, said[9], said[11], 1000, removals)
        assert (items, missing) == ([], Missing(said[9] + 1, said[11], "expired"))

        await it.archive_only(it.said[10:12])
        await it.store.write([], {LOG: said[19]})
        items, missing = await history.range(it.record, said[3], said[-1], 1000, removals)
        assert (told(items), missing) == (it.told()[4:], None)

        await it.archive_only(it.said[25:27])
        await it.trim_to(said[27])
        with pytest.raises(Unavailable, match="than it is known to have whole"):
            await history.range(it.record, said[3], said[-1], 1000, removals)
        clock.advance(STANDS_S)
        items, missing = await history.range(it.record, said[3], said[-1], 1000, removals)
        assert missing == Missing(said[19] + 1, said[26], "expired")
        assert told(items) == [*it.told()[4:20], *it.told()[-3:]]


async def test_a_log_that_lost_its_last_second(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """In a power cut: what it lost is in no page and no total, what it gives the same seqs to is; whoever asked before."""
    server = own_nats_server
    async with boundary(server.url, tmp_path, 0) as it:
        history, connection = it.history(), it.broker.connection
        numbers = itertools.count(1)

        async def say(count: int) -> None:
            for _ in range(count):
                await it.say(comment(next(numbers)))

        async def check() -> None:
            page = await history.comments(it.record, after=0, before=None, descending=True, limit=100)
            assert told(page) == it.comments()[::-1]
            assert await history.total(it.record) == (it.counted(), True)

        await say(5)
        await it.archive(2)
        await say(3)
        # Fewer come again than were lost, as many, and more.
        for lost, again in ((6, 2), (3, 3), (2, 9), (4, 0)):
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(shutil.copytree, server.folder / "store", tmp_path / f"kept{lost}")
            await asyncio.to_thread(server.start)
            await connected(it)
            await say(lost)
            await it.say(Removed(comment_id="1", reason="author"))
            await check()
            del it.said[-lost - 1 :]
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(shutil.rmtree, server.folder / "store")
            await asyncio.to_thread(shutil.move, tmp_path / f"kept{lost}", server.folder / "store")
            await asyncio.to_thread(server.start)
            await connected(it)
            await say(again)
            await check()
        assert connection.up.is_set()


async def connected(it: Boundary) -> None:
    """Wait for the broker's answer."""

    async def answers() -> bool:
        try:
            await it.broker.reader.state(LOG)
        except Unavailable:
            return False
        return True

    await eventually(answers)
