"""Viewers while the store is away."""

from pathlib import Path

import pytest

from infra.errors import Unavailable
from tests.backends.nats import NatsServer
from tests.factories import comment
from tests.hubs import gateway
from tests.waits import eventually

pytestmark = pytest.mark.nats


async def test_who_comes_while_the_store_is_away_is_let_in(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a backfill, and with everything that comes from then on."""

    async def away(*_: object) -> None:
        msg = "the store is away"
        raise Unavailable(msg)

    async with gateway(nats_server.url, tmp_path) as g:
        await g.say(comment(1))
        monkeypatch.setattr("gateway.history.History.newest", away)
        viewer = await g.viewer().open()
        await eventually(lambda: viewer.last_id is not None)
        second = await g.say(comment(2))
        await viewer.until(lambda v: v.seqs == [second])
        assert viewer.faults == []
