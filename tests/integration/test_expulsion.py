"""Viewers who may not watch any more, in one hub."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from gateway.access import Access
from gateway.directory import StreamDirectory
from gateway.fanout.expulsion import Expulsion
from gateway.granted import Granted
from infra.jetstream.grants import FOLLOWS, INVITATIONS, Grants
from schemas.records import Privacy, StreamRecord
from tests.backends.nats import NatsServer
from tests.factories import comment
from tests.hubs import Gateway, gateway
from tests.waits import eventually

if TYPE_CHECKING:
    from infra.stores import StreamStore

pytestmark = pytest.mark.nats


@asynccontextmanager
async def _guarded(url: str, folder: Path) -> AsyncIterator[tuple[Gateway, StreamDirectory]]:
    """A hub whose door asks nobody, and what looks after those who are in."""
    async with gateway(url, folder) as g:
        directory = StreamDirectory(g.broker.records, cast("StreamStore", None))
        directory.put(g.record, 1)
        directory.on_change(g.hub.changed)
        grants = [Granted(Grants(g.broker.bucket(name), g.broker.clock)) for name in (FOLLOWS, INVITATIONS)]
        expulsion = Expulsion(g.hub, directory, Access(*grants))
        try:
            yield g, directory
        finally:
            await expulsion.stop()


def _with(record: StreamRecord, privacy: Privacy) -> StreamRecord:
    return msgspec.structs.replace(record, privacy=privacy)


async def test_a_change_reaches_those_who_are_in_and_those_on_their_way(nats_server: NatsServer, tmp_path: Path) -> None:
    """Watching when a stream becomes private, or let in by what was true a moment before it did: both are cut."""
    async with _guarded(nats_server.url, tmp_path) as (g, directory):
        early = await g.viewer().open()
        directory.put(_with(g.record, "private"), 2)
        await early.ended()
        # The door still goes by the record it has.
        late = await g.viewer().open()
        await late.ended()
        directory.put(_with(g.record, "public"), 3)
        again = await g.viewer().open()
        seq = await g.say(comment(1))
        await again.until(lambda v: v.last_id is not None and v.last_id >= seq)
        assert not again.over


async def test_a_crowd_is_cut_in_slices(nats_server: NatsServer, tmp_path: Path) -> None:
    """Six hundred viewers, more than are looked at in one turn: all of them go, and the hub forgets them."""
    async with _guarded(nats_server.url, tmp_path) as (g, directory):
        crowd = [await g.viewer(backfill=0).open() for _ in range(600)]
        directory.put(_with(g.record, "followers"), 2)
        for viewer in crowd:
            await viewer.ended()
        await eventually(lambda: g.hub.viewers == 0)
