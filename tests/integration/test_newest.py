"""What a viewer is told first: the newest of log and store."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from gateway.history import History
from infra.errors import Unavailable
from infra.stores import CommentStore
from schemas.items import Removed
from tests.backends.nats import NatsServer
from tests.boundary import Hanging, boundary, told
from tests.factories import comment

pytestmark = [pytest.mark.nats]


async def test_who_comes_waits_for_no_store(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """While it hangs the log tells the newest where enough of them is not archived; not where it has given some up."""
    async with boundary(own_nats_server.url, tmp_path, 0) as it:
        for n in range(1, 31):
            await it.say(comment(n))
        await it.archive(10)
        await it.say(Removed(comment_id="30", reason="moderator"))
        hanging = Hanging(it.store)
        history = History(cast("CommentStore", hanging), it.broker.reader, it.broker.clock, store_s=0.3)
        removals = await history.removals(it.record)
        until = it.said[-1].seq
        calm = await history.newest(it.record, until, 15, removals)
        hanging.hangs = True

        items, prev = await asyncio.wait_for(history.newest(it.record, until, 15, removals), 20)
        assert (told(items), prev) == (told(calm[0]), calm[1]) == (it.told()[-len(items) :], it.said[30 - len(items)].seq)
        assert sum(item.kind == "comment" for item in items) == 15
        with pytest.raises(Unavailable, match="has not answered"):
            await asyncio.wait_for(history.newest(it.record, until, 20, removals), 20)
        await it.trim_to(it.said[20].seq)
        with pytest.raises(Unavailable, match="has not answered"):
            await asyncio.wait_for(history.newest(it.record, until, 15, removals), 20)
