"""Who catches up is given what the log has; the store is asked for what the log has no longer, and for nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.history import History
from gateway.removals import Removals
from infra.errors import Unavailable
from infra.stores import CommentStore
from infra.telemetry import metrics
from schemas.items import Comment, Purged, Removed, Restored
from schemas.records import Broadcaster, StreamRecord
from tests.archives import archive
from tests.backends.nats import NatsServer
from tests.boundary import Boundary, Hanging, Said, Told, boundary, told
from tests.broker import broker, fresh_stream
from tests.factories import comment
from tests.hubs import gateway

pytestmark = [pytest.mark.nats]


class _Asked(Hanging):
    """Notes what it is asked, and hangs on request."""

    def __init__(self, real: CommentStore) -> None:
        super().__init__(real)
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        self.asked.append(name)
        return super().__getattr__(name)


async def talk(it: Boundary, count: int) -> None:
    """*count* items: comments, and some that remove them, bring them back, or purge a person."""
    for n in range(1, count + 1):
        match n % 50:
            case 20 | 21 | 22:
                await it.say(Removed(comment_id=str(n - 15), reason="moderator"))
            case 30:
                await it.say(Restored(comment=comment(n - 25, author="bob" if (n - 25) % 7 else "eve")))
            case 40:
                await it.say(Purged(user_id="eve"))
            case _:
                await it.say(comment(n, author="bob" if n % 7 else "eve"))


async def caught_up(it: Boundary, history: History, after: int, removals: Removals, step: int = 300) -> list[Told]:
    """Everything after *after*, a read at a time."""
    found: list[Told] = []
    until = it.said[-1].seq
    while after < until:
        items, missing = await asyncio.wait_for(history.range(it.record, after, until, step, removals), 20)
        assert missing is None
        found += told(items)
        after = items[-1].seq if len(items) >= step else until
    return found


def ranges(source: str) -> float:
    """How many ranges were read from *source* so far."""
    return metrics.REGISTRY.get_sample_value("ovation_range_reads_total", {"source": source}) or 0.0


def over(store: CommentStore, it: Boundary) -> History:
    """A gateway's view that waits for *store* a moment."""
    return History(store, it.broker.reader, it.broker.clock, store_s=0.3)


async def test_what_the_log_has_asks_no_store(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """A thousand items, all archived, everything decided on them before the gateway began: whole, while the store hangs."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        await talk(it, 1000)
        await it.archive(10**6)
        store = _Asked(it.store)
        history = over(cast("CommentStore", store), it)
        removals = await history.removals(it.record)
        # What comes while it follows the stream it hears, as an audience does.
        last = it.said[-2]
        assert isinstance(last.item, Comment)
        removals.learn(Removed(comment_id=last.item.comment_id, reason="author"), await it.say(
            Removed(comment_id=last.item.comment_id, reason="author")
        ))  # fmt: skip
        store.asked.clear()
        store.hangs = True

        # Not the oldest first: who comes later has missed more.
        for index in (900, 400, 650, 0):
            expected = it.told()[index + 1 :]
            assert await caught_up(it, history, it.said[index].seq, removals) == expected
            assert {reason for _, reason in expected} >= {None, "moderator" if index < 900 else None}
        assert store.asked == []


async def test_a_gateway_that_has_just_begun_asks_no_store(nats_server: NatsServer, tmp_path: Path) -> None:
    """Its ring is empty and the archive has everything: who comes back is made whole out of the log."""
    record = StreamRecord(
        stream_id=fresh_stream(), broadcaster=Broadcaster(id="ada", name="Ada"), title="t", key_sha256="", created_at=1
    )
    async with broker(nats_server.url) as b, archive(b, tmp_path / "store.sqlite") as running:
        async with gateway(nats_server.url, tmp_path, record) as before:
            seqs = [await before.say(comment(n)) for n in range(1, 1002)]
            await before.say(Removed(comment_id="500", reason="author"))
        await running.caught_up()
        stored, logged = ranges("store"), ranges("log")
        async with gateway(nats_server.url, tmp_path, record) as g:
            viewer = await g.viewer(last_id=seqs[0]).open()
            await viewer.until(lambda v: len(v.seqs) >= 1001)
            assert viewer.seqs[:-1] == seqs[1:]
            assert viewer.faults == []
            assert viewer.items[498]["type"] == "removed"
        assert ranges("store") == stored
        assert ranges("log") > logged


async def test_far_back_the_store_is_asked_first(
    own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where reading all that was decided since takes long; while it is away the log is read all the same, to a bound."""
    monkeypatch.setattr("gateway.ranges.NEAR", 10)
    monkeypatch.setattr("gateway.ranges.FAR", 100)
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        await talk(it, 200)
        await it.archive(10**6)
        store = _Asked(it.store)
        history = over(cast("CommentStore", store), it)
        removals = await history.removals(it.record)
        for index, asks in ((195, False), (150, True), (10, True)):
            store.asked.clear()
            assert await caught_up(it, history, it.said[index].seq, removals, 1000) == it.told()[index + 1 :]
            assert ("range" in store.asked) == asks

        store.hangs = True
        with pytest.raises(Unavailable, match="has not answered"):
            await caught_up(it, history, it.said[10].seq, removals, 1000)
        assert await caught_up(it, history, it.said[150].seq, removals, 1000) == it.told()[151:]
        # Now that is known.
        store.hangs = False
        store.asked.clear()
        assert await caught_up(it, history, it.said[150].seq, removals, 1000) == it.told()[151:]
        assert store.asked == []


async def test_what_only_the_store_has_comes_from_it(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Before the log's first message, and after its last one where a power cut took what was archived; no seam between."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        await talk(it, 120)
        await it.archive(10**6)
        await it.trim_to(it.said[60].seq)
        history = it.history()
        removals = await history.removals(it.record)
        for step in (7, 1000):
            assert await caught_up(it, history, it.said[9].seq, removals, step) == it.told()[10:]

        last = it.said[-1].seq
        for n in (1, 2):
            it.said.append(Said(last + n, it.said[-1].at_ms, comment(10_000 + n), it.record.stream_id, f"lost {n}"))
        await it.archive(10)
        assert await caught_up(it, history, it.said[100].seq, removals) == it.told()[101:]
