"""What a replay's request may ask for, what room it takes, and what a reader that stalls costs."""

import json
from pathlib import Path

import pytest

from gateway.auth import Principal
from infra.environment import load
from tests.backends.nats import NatsServer
from tests.factories import comment
from tests.replaying import SECRET, stage

pytestmark = pytest.mark.nats


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("speed=0.2", "speed"), ("speed=17", "speed"), ("speed=nan", "speed"), ("speed=", "speed"), ("speed=-1", "speed"),
        ("from=yesterday", "from"), ("from=2026-11-21", "from"), ("from=99999999999999999999", "from"), ("from=-5", "from"),
        ("backfill=501", "backfill"), ("only=reactions", "only"), ("last_event_id=x", "last_event_id"),
    ],
)  # fmt: skip
async def test_what_is_refused(nats_server: NatsServer, tmp_path: Path, query: str, field: str) -> None:
    """422 before any body, naming the parameter."""
    async with stage(nats_server.url, tmp_path) as s:
        viewer = await s.viewer(query).open()
        await viewer.ended()

        assert viewer.status == 422
        assert json.loads(viewer.body)["code"] == "VALIDATION"
        assert json.loads(viewer.body)["field"] == field


async def test_who_may_watch_it(nats_server: NatsServer, tmp_path: Path) -> None:
    """As for events: a private stream is 404 to strangers, a bad credential 401, a ticket opens it until it ends."""
    async with stage(nats_server.url, tmp_path) as s:
        await s.play((1, comment(1)), (50, comment(2)))
        s.change(privacy="private")
        ends = s.clock.now_ms() // 1000 + 30
        ada = Principal(id="ada", name="Ada", expires_at=ends)
        ticket = s.authenticator.mint_ticket(ada, s.record.stream_id).token
        stranger = await s.viewer().open()
        forged = await s.viewer("ticket=nonsense").open()
        invited = await s.viewer(f"ticket={ticket}").open()
        await s.advance(1)

        assert (stranger.status, forged.status, invited.status) == (404, 401, 200)
        assert await s.texts(invited) == ["comment 1"]
        [served] = s.served
        assert served.expires_at == ends


async def test_times_outside_the_stream(nats_server: NatsServer, tmp_path: Path) -> None:
    """Before its beginning is the beginning, after its end is the end; an unescaped plus is an offset all the same."""
    async with stage(nats_server.url, tmp_path) as s:
        seqs = await s.play((1, comment(1)), (2, comment(2)))
        early = await s.viewer("from=1971-01-01T00:00:00+02:00").open()
        late = await s.viewer("from=2999-01-01T00:00:00Z", backfill=1).open()
        await late.until(lambda v: v.over)
        await s.advance(1)

        assert await s.texts(early) == ["comment 1"]
        assert late.seqs == seqs[-1:]
        assert late.events[-1].name == "end"


async def test_room_and_drain_are_those_of_viewers(nats_server: NatsServer, tmp_path: Path) -> None:
    """A replay takes a viewer's room: past the bound `busy`; a drain ends it with a `retry`."""
    settings = load({"OVATION_JWT_SECRET": SECRET, "OVATION_MAX_VIEWERS": "1"})
    async with stage(nats_server.url, tmp_path, settings=settings) as s:
        await s.play((1, comment(1)))
        first = await s.viewer(gzip=True).open()
        second = await s.viewer().open()
        await second.ended()
        assert [event.name for event in second.events] == ["busy"]
        assert s.hub.viewers == 1
        await s.hub.drain(0)
        await first.ended()
        assert first.retry is not None
        assert 1_000 <= first.retry <= 5_000


async def test_who_does_not_read_is_made_whole(nats_server: NatsServer, tmp_path: Path) -> None:
    """A stalled reader holds no more than a write; when it reads again it has everything, chain intact."""
    async with stage(nats_server.url, tmp_path) as s:
        seqs = await s.play(*((1 + n / 1000, comment(n, text="x" * 480)) for n in range(3_000)))
        viewer = await s.viewer().open()
        viewer.pause()
        for _ in range(100):
            await s.advance(0.05)
        [served] = s.served
        assert served.paused
        assert served.transport.get_write_buffer_size() < 256 * 1024
        assert served.position < seqs[-1]
        viewer.resume()
        await s.advance(60)
        await viewer.until(lambda v: v.over)
        assert viewer.seqs == seqs
        assert viewer.faults == []
