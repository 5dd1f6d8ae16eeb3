"""The tick over all audiences of a gateway, however many they are."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import structs

from gateway.fanout.audience import Audience
from gateway.fanout.slices import SLICE
from tests.backends.nats import NatsServer
from tests.broker import fresh_stream
from tests.hubs import gateway
from tests.turns import Turns
from tests.waits import eventually

pytestmark = pytest.mark.nats

MANY = 3 * SLICE


async def test_no_turn_of_the_loop_looks_at_all_audiences(
    nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ticks, and what bounds the rings together: some at a time, and each once a second as ever."""
    turns = Turns()

    def noted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*values: object) -> object:
            turns.note(name)
            return real(*values)

        return call

    monkeypatch.setattr(Audience, "tick", noted("tick", Audience.tick))
    monkeypatch.setattr(Audience, "held", property(noted("held", vars(Audience)["held"].fget)))
    async with gateway(nats_server.url, tmp_path) as g:
        records = [structs.replace(g.record, stream_id=fresh_stream()) for _ in range(MANY)]
        await asyncio.gather(*(g.hub.audiences.of(record) for record in records))
        turns.done.clear()
        await eventually(lambda: min(turns.total("tick"), turns.total("held")) >= 2 * MANY)

        assert max(turns.done.values()) <= SLICE
