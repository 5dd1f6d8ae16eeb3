"""What a gateway knows of a stream from its log, and what it asks the store for."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.sqlite import Database, SqliteComments
from infra.stores import CommentStore
from schemas.items import Removed
from tests.backends.nats import NatsServer
from tests.boundary import boundary
from tests.broker import Broker, broker
from tests.factories import comment

pytestmark = [pytest.mark.nats]


@pytest.fixture
async def log(own_nats_server: NatsServer) -> AsyncIterator[Broker]:
    """A broker whose log may be cut without asking anybody."""
    async with broker(own_nats_server.url) as made:
        yield made


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CommentStore]:
    """A file."""
    database = await Database.open(tmp_path / "store.sqlite")
    yield SqliteComments(database)
    await database.close()


async def test_an_audience_knows_what_is_not_archived(log: Broker, store: CommentStore) -> None:
    """However much was removed, who opens a stream holds what the archive has not seen yet, and hides all of it."""
    async with boundary(log, store, 0) as it:
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
