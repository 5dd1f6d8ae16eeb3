"""A gateway that follows several logs, one of which does not answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.fanout.viewer import Viewer as Served
from infra.environment import load
from infra.errors import Unavailable
from schemas.records import Broadcaster, StreamRecord
from tests.backends.nats import NatsServer
from tests.broker import broker, fresh_stream
from tests.factories import comment
from tests.hubs import Gateway, gateway
from tests.slowfeed import SlowFeed

pytestmark = pytest.mark.nats

#: Checks come every 2 s. Where the one that fails holds up the other, never.
SOON_S = 10.0


def record(shard: int) -> StreamRecord:
    """A stream in a log of its own."""
    ada = Broadcaster(id="ada", name="Ada")
    return StreamRecord(stream_id=fresh_stream(), broadcaster=ada, title="t", key_sha256="", created_at=1, shard=shard)


@asynccontextmanager
async def half_sick(server: NatsServer, folder: Path) -> AsyncIterator[tuple[Gateway, StreamRecord]]:
    """A gateway whose first stream's log is gone; its second's, which its viewers watch, is well."""
    async with broker(server.url, load({"OVATION_SHARDS": "2"})) as b:
        sick = record(0)
        async with gateway(server.url, folder, record(1)) as g:
            await g.hub.audiences.of(sick)
            await b.connection.request("$JS.API.STREAM.DELETE.LIVE_0")
            yield g, sick


async def test_a_log_that_does_not_answer_holds_up_no_other(
    own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the feed lost of the other's streams is found as ever."""
    feed = SlowFeed(monkeypatch)
    async with half_sick(own_nats_server, tmp_path) as (g, _):
        viewer = await g.viewer(backfill=0).open()
        feed.holds = True
        lost = await g.say(comment(1))
        await viewer.until(lambda v: v.seqs == [lost], timeout_s=SOON_S)

        assert viewer.faults == []


async def test_after_a_pause_only_who_watches_it_waits_for_a_log(
    own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No ring is served before its log was checked: whose log does not answer is sent away, however often it comes."""
    async with half_sick(own_nats_server, tmp_path) as (g, sick):
        first = await g.say(comment(1))
        # Every turn comes after a pause.
        monkeypatch.setattr("gateway.fanout.hub.PAUSED_S", -1.0)
        viewers = [await g.viewer().open() for _ in range(3)]
        assert [viewer.seqs for viewer in viewers] == [[first]] * 3
        _, writer = await asyncio.open_connection("127.0.0.1", urlsplit(g.url).port)
        served = Served(writer.transport)  # type: ignore[arg-type]  # a stream's transport is one
        for _ in range(3):
            with pytest.raises(Unavailable, match="LIVE_0"):
                await g.hub.admit(served, sick)
            assert g.hub.admit_now(served, sick) is None
        writer.close()
        await writer.wait_closed()
