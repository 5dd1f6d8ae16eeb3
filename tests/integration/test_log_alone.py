"""What a gateway knows of a stream from its log, and what it asks the store for."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from gateway.history import History
from gateway.totals import CARRIED_S
from gateway.unarchived import LATELY_S
from infra.clock import HandClock
from infra.errors import Unavailable
from infra.jetstream.reader import LogMessage, Reader
from infra.stores import CommentStore
from schemas.items import Removed, Restored
from tests.backends.nats import NatsServer
from tests.boundary import Hanging, Told, boundary, told
from tests.broker import fresh_stream
from tests.factories import comment
from tests.waits import eventually

pytestmark = [pytest.mark.nats]


async def test_an_audience_knows_what_is_not_archived(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """However much was removed, who opens a stream holds what the archive has not seen yet, and hides all of it."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        for n in range(1, 61):
            await it.say(comment(n))
            await it.say(Removed(comment_id=str(n), reason="author"))
        await it.archive(10**6)
        await it.say(comment(61))
        for n in (60, 61):
            await it.say(Removed(comment_id=str(n), reason="moderator"))
        history = it.history()
        removals = await history.removals(it.record)
        items, missing = await history.range(it.record, 0, it.said[-1].seq, 1000, removals)

        assert missing is None
        assert [(item.seq, item.removed) for item in items] == it.told()
        assert sorted(removals.comment_ids) == ["60", "61"]


async def test_a_page_of_the_log_needs_no_store(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """While the store hangs, what the log has whole is told; what it has not is refused in time; the total is the last one."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        said = [await it.say(comment(n)) for n in range(1, 41)]
        await it.archive(20)
        hanging = Hanging(it.store)
        history = History(cast("CommentStore", hanging), it.broker.reader, it.broker.clock, store_s=0.3)
        assert await history.total_soon(it.record) == (40, True)
        hanging.hangs = True
        said += [await it.say(comment(41)), await it.say(Removed(comment_id="41", reason="author"))]

        async def page(*, after: int = 0, descending: bool = True, limit: int = 10) -> list[Told]:
            found = history.comments(it.record, after=after, before=None, descending=descending, limit=limit)
            return told(await asyncio.wait_for(found, 20))

        assert await page() == it.comments()[:-11:-1]
        assert await page(after=said[29], descending=False, limit=50) == it.comments()[30:]
        for asked in (page(limit=30), page(after=said[5], descending=False)):
            with pytest.raises(Unavailable, match="has not answered"):
                await asked
        assert await asyncio.wait_for(history.total_soon(it.record), 20) == (40, False)


async def test_who_catches_up_waits_for_the_store_in_time(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """While it hangs, what came after what it was known to have is read on; what only it can tell is refused, not lost."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        said = [await it.say(comment(n)) for n in range(1, 31)]
        await it.archive(10)
        hanging = Hanging(it.store)
        history = History(cast("CommentStore", hanging), it.broker.reader, it.broker.clock, store_s=0.3)
        removals = await history.removals(it.record)
        hanging.hangs = True
        items, missing = await asyncio.wait_for(history.range(it.record, said[9], said[-1], 1000, removals), 20)
        assert (told(items), missing) == (it.told()[10:], None)

        # Given up by the log before it was seen to be archived: nobody can say that it is lost.
        await it.archive(10)
        await it.trim_to(said[19] + 1)
        for asked in (
            history.range(it.record, said[9], said[-1], 1000, removals),
            history.range(it.record, said[5], said[-1], 1000, removals),
            history.newest(it.record, said[-1], 50, removals),
            history.original(it.record, said[0]),
            history.by_msg_id_seq(it.record, "a key"),
        ):
            with pytest.raises(Unavailable, match="has not answered"):
                await asyncio.wait_for(asked, 20)
        hanging.hangs = False
        items, missing = await history.range(it.record, said[9], said[19], 1000, removals)
        assert (told(items), missing) == (it.told()[10:20], None)


async def test_a_page_of_a_log_that_forgot_asks_the_store(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Archived beyond the mark and given up by the log between two looks: the rows are told with what the log has."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        history = it.history()
        for n in range(1, 11):
            await it.say(comment(n))
        first = await history.comments(it.record, after=0, before=None, descending=True, limit=5)
        assert told(first) == it.comments()[:4:-1]
        for n in range(11, 31):
            await it.say(comment(n))
        await it.archive_only(it.said[-12:])
        await it.trim_to(it.said[-3].seq)
        for limit in (3, 8):
            found = await history.comments(it.record, after=0, before=None, descending=True, limit=limit)
            assert told(found) == it.comments()[: -limit - 1 : -1]


class _Lagging:
    """A reader whose replica has not seen what came after `last`, or answers nothing while `away`."""

    def __init__(self, real: Reader) -> None:
        self._real = real
        self.last = 2**53
        self.away = False
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def ask(*values: object) -> object:
            self.asked.append(name)
            if self.away:
                msg = "the broker is away"
                raise Unavailable(msg)
            return await getattr(self._real, name)(*values)

        return ask

    async def follow_from(self, *asked: Any) -> list[LogMessage]:  # noqa: ANN401 - the reader's own
        """What the replica has."""
        found: list[LogMessage] = await self.__getattr__("follow_from")(*asked)
        return [message for message in found if message.seq <= self.last]


async def test_a_comment_of_a_moment_ago_is_found(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """By its id, removed or not, though a replica lags behind; and nothing is said to be nowhere while log or store is away."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        said = [await it.say(comment(n)) for n in (1, 2)]
        await it.archive(10)
        lagging, hanging = _Lagging(it.broker.reader), Hanging(it.store)
        history = History(cast("CommentStore", hanging), cast("Reader", lagging), it.broker.clock, store_s=0.3)
        lagging.last = said[-1]
        said += [await it.say(comment(3)), await it.say(comment(4)), await it.say(Removed(comment_id="4", reason="author"))]

        for number, seq, removed in ((1, said[0], None), (3, said[2], None), (4, said[3], "author")):
            found = await history.comment(it.record, str(number))
            assert found is not None
            assert (found.seq, found.removed) == (seq, removed)
        assert await history.comment(it.record, "5") is None
        # What was known before is not waited for, however far behind who answers is.
        lagging.asked.clear()
        lagging.last = said[0]
        assert await history.tail(it.record) == it.said[-1].seq
        assert "range" not in lagging.asked
        lagging.away = True
        with pytest.raises(Unavailable, match="broker"):
            await history.comment(it.record, "5")
        lagging.away, hanging.hangs = False, True
        with pytest.raises(Unavailable, match="has not answered"):
            await asyncio.wait_for(history.comment(it.record, "5"), 20)


class _Noting:
    """What it stands before; notes what is asked."""

    def __init__(self, real: CommentStore) -> None:
        self._real = real
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def ask(*values: object, **named: object) -> object:
            self.asked.append(name)
            return await getattr(self._real, name)(*values, **named)

        return ask


async def test_an_offset_asks_the_store_for_one_page(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Both ways, wherever it ends: what is not archived the log tells alone, as long as it has all of it."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        for n in range(1, 41):
            await it.say(comment(n))
        await it.archive(30)
        noting = _Noting(it.store)
        history = History(cast("CommentStore", noting), it.broker.reader, it.broker.clock)

        async def asked(offset: int, *, descending: bool) -> int:
            """How many pages the store is asked for; what it and the log have is told."""
            noting.asked.clear()
            page = await history.comments(it.record, after=0, before=None, descending=descending, limit=5, offset=offset)
            assert told(page) == it.comments()[:: -1 if descending else 1][offset : offset + 5]
            return noting.asked.count("comments")

        ways = [(offset, descending) for offset in (3, 8, 17, 27) for descending in (True, False)]
        assert [await asked(offset, descending=descending) for offset, descending in ways] == [0, 1, 1, 1, 1, 1, 1, 1]
        # Above the mark there are rows that the log has no longer.
        await it.archive_only(it.said[30:36])
        await it.trim_to(it.said[35].seq)
        assert [await asked(8, descending=descending) for descending in (True, False)] == [2, 1]


class _Busy(_Noting):
    """Something happens before it is first asked for comments."""

    def __init__(self, real: CommentStore, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(real)
        self._meanwhile = meanwhile

    async def comments(self, *values: object, **named: object) -> object:
        """What happens, and then the page."""
        if "comments" not in self.asked:
            await self._meanwhile()
        return await self.__getattr__("comments")(*values, **named)


async def test_the_newest_page_has_no_hole_at_its_top(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """What was posted since the log was read, and is stored in part, is left out: whoever goes on down would miss the rest."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        for n in range(1, 41):
            await it.say(comment(n))
        await it.archive(30)
        before = it.comments()

        async def meanwhile() -> None:
            for n in range(41, 44):
                await it.say(comment(n))
            await it.archive_only(it.said[-1:])

        busy = _Busy(it.store, meanwhile)
        history = History(cast("CommentStore", busy), it.broker.reader, it.broker.clock)
        page = await history.comments(it.record, after=0, before=None, descending=True, limit=20)
        assert told(page) == before[::-1][:20]
        assert busy.asked.count("comments") == 2


async def test_a_total_is_carried_on(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """What was counted in the log is added to the store's count as the archive comes on; who decides has it asked anew."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        noting, clock = _Noting(it.store), HandClock(it.broker.clock.now_ms())
        history = History(cast("CommentStore", noting), it.broker.reader, clock)
        numbers = itertools.count(1)

        async def asked(*, say: int = 0, archive: int = 0) -> list[str]:
            """What the store is asked for a total after that; it is right each time."""
            for _ in range(say):
                await it.say(comment(next(numbers)))
            if archive:
                await it.archive(archive)
            clock.advance(LATELY_S)
            noting.asked.clear()
            assert await history.total(it.record) == (it.counted(), True)
            return [each for each in noting.asked if each != "archived_through"]

        assert await asked(say=10, archive=4) == ["total"]
        for _ in range(5):
            assert await asked(say=3, archive=3) == []
        # Said and archived between two looks: nobody has counted these.
        assert await asked(say=5, archive=100) == ["total"]
        assert await asked(say=5) == []

        await it.say(Removed(comment_id="2", reason="author"))
        assert await asked() == ["total", "comment", "total"]
        assert await asked(say=2, archive=6) == []
        await it.say(Restored(comment=comment(2)))
        assert await asked(archive=100) == ["total"]

        # What the store lost by itself is known after a while; what the log lost before the archive came, at once.
        assert await asked(say=4, archive=100) == ["total"]
        await it.store.erase(it.record.stream_id, [it.said[0].seq], it.said[0].at_ms)
        it.in_store.discard(it.said[0].seq)
        it.first = it.said[1].seq
        clock.advance(CARRIED_S)
        assert await asked() == ["total"]
        assert await asked(say=4) == []
        await it.trim_to(it.said[-2].seq)
        assert await asked(archive=100) == ["total"]


class _Crossing:
    """What it stands before; its answers about the mark wait until they are let."""

    def __init__(self, real: CommentStore) -> None:
        self._real = real
        self.held: list[asyncio.Future[None]] | None = None

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        return getattr(self._real, name)  # type: ignore[no-any-return]  # the store's own

    async def archived_through(self, log: str) -> int:
        """As it is when it is asked for."""
        found = await self._real.archived_through(log)
        if self.held is not None:
            self.held.append(let := asyncio.get_running_loop().create_future())
            await let
        return found


async def test_answers_about_the_mark_cross(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """An older one that comes later is not believed: nothing between the two is missed, whoever asked."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        for n in range(1, 31):
            await it.say(comment(n))
        await it.archive(10)
        crossing, clock = _Crossing(it.store), HandClock(it.broker.clock.now_ms())
        history = History(cast("CommentStore", crossing), it.broker.reader, clock)
        other = msgspec.structs.replace(it.record, stream_id=fresh_stream())
        await history.tail(it.record)
        clock.advance(LATELY_S)
        crossing.held = []
        older = asyncio.create_task(history.tail(other))
        await eventually(lambda: len(crossing.held or []) == 1)
        await it.archive(10)
        newer = asyncio.create_task(history.tail(it.record))
        await eventually(lambda: len(crossing.held or []) == 2)
        for number in (1, 0):
            crossing.held[number].set_result(None)
            await (newer if number else older)

        crossing.held = None
        assert await history.total(it.record) == (30, True)
        page = await history.comments(it.record, after=it.said[12].seq, before=None, descending=False, limit=50)
        assert told(page) == it.comments()[13:]
