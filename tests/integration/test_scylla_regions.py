"""Two data centers, a node in each: what is believed archived in one of them is there."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from infra.errors import Unavailable
from infra.scylla import Database, ScyllaComments, migrate
from infra.scylla.schema import MIGRATIONS
from tests.backends.cassandraring import CassandraRing
from tests.contract.histories import LOG, S, everything, logged
from tests.factories import comment
from tests.waits import eventually

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[CassandraRing]:
    """A node in the east and one in the west."""
    ring = CassandraRing(tmp_path / "ring", centers=("east", "west"))
    try:
        yield ring.start()
    finally:
        ring.kill()


async def test_what_is_archived_is_in_every_region(ring: CassandraRing) -> None:
    """Migrated from either side; once a batch is acknowledged its items are read in both.

    While one hangs nothing is archived, and no watermark moves that the other could believe; reads go on where the nodes
    answer. When it is back the batch is taken.
    """
    east = ring.address("regions")
    west = msgspec.structs.replace(east, dc="west")
    assert await migrate(east) == len(MIGRATIONS)
    assert await migrate(west) == 0
    here, there = await Database.open(east), await Database.open(west)
    writer, reader = ScyllaComments(here), ScyllaComments(there)
    for n in range(1, 6):
        await writer.write([logged(comment(n), n)], {LOG: n})
        assert (await reader.archived_through(LOG), await everything(reader)) == (n, [(each, None) for each in range(1, n + 1)])

    ring.nodes[1].pause()
    with pytest.raises(Unavailable):
        await writer.write([logged(comment(6), 6)], {LOG: 6})
    assert await writer.archived_through(LOG) == 5
    ring.nodes[1].resume()

    async def taken() -> bool:
        try:
            await writer.write([logged(comment(6), 6)], {LOG: 6})
        except Unavailable:
            return False
        return True

    await eventually(taken, timeout=60)
    assert (await reader.archived_through(LOG), await reader.total(S)) == (6, 6)
    await asyncio.gather(here.close(), there.close())
