"""Three CQL nodes under a steady load: one hangs, one is killed, two are killed, and what was promised holds.

`python -m bench.nodes` does the same at full length and 1,000 comments/s. Here other tests share the two cores with three
servers that start, so what is timed is compared with the same run's own time before anything was hurt.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.cassandraring import CassandraRing
from tests.backends.nats import NatsServer
from tests.nodefaults import Read, Scene, between, driver_lines, now, quantile, reached, refused, scene
from tests.ups import run

pytestmark = [pytest.mark.nats, pytest.mark.e2e, pytest.mark.chaos, pytest.mark.timeout(300)]

#: Of which five times as many are archived even where others take nine tenths of the cores.
PER_S = 50
READS_PER_S = 5
WARM_S = 5.0
HUNG_S = 9.0
GONE_S = 5.0
#: The promises: how soon writes go on when a node hangs, how soon pages come, how much faster than live a backlog goes.
WRITES_S, PAGES_S, DRAIN = 5.0, 0.5, 5
RETRY_S = 8.0
#: Where the machine itself is slower than that: so many times what pages took before.
SLOWER = 4
#: Driver's lines in a process's log, of all the faults together.
WORDS = 30


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[CassandraRing]:
    """Three nodes; without them the test fails."""
    ring = CassandraRing(tmp_path / "ring")
    try:
        yield ring.start()
    finally:
        ring.kill()


def answered(pages: list[Read], posts: list[Read], before: list[Read]) -> None:
    """Every page and post was answered, pages as soon as before; their p99 is the bench's, where no test takes the cores."""
    assert pages
    assert (refused(pages), refused(posts)) == ({}, {})
    assert quantile(pages, 0.5) <= max(PAGES_S, SLOWER * quantile(before, 0.5))


async def test_nodes_hang_and_die(ring: CassandraRing, own_nats_server: NatsServer, tmp_path: Path) -> None:
    """One of three hangs or dies and returns: writes go on, all is answered. Two die: the archive waits, viewers see on."""
    async with scene(ring, own_nats_server, tmp_path, "nodes") as s:
        assert s.cluster.archive is not None
        async with s.load(PER_S, reads=READS_PER_S, posts=2):
            began = now()
            await reached(began + WARM_S)
            before = between(s.reads, began, now())
            await one_hangs(ring, s, before)
            await one_dies(ring, s, before)
            await two_die(ring, s)
        await s.settled()

        # Nothing that was acknowledged is lost, by the log's count and by a comparison of each row with it.
        assert not s.failed
        assert await s.in_log() == s.acknowledged
        store = {"store_url": f"{ring.url}/nodes", "nats_url": own_nats_server.url, "data_dir": tmp_path / "verify"}
        code, out, errors = await run("verify", s.stream_id, **store)
        assert (code, errors) == (0, ""), out
        assert out.startswith(f"{s.acknowledged} messages compared")
        assert await s.dead_letters() == 0
        for process in (s.cluster.archive, *s.cluster.gateways):
            assert process.alive
            assert "Traceback" not in process.text
            assert len(list(driver_lines(process.text))) <= WORDS


async def one_hangs(ring: CassandraRing, s: Scene, before: list[Read]) -> None:
    """Its sockets stay open; nobody waits for it for long."""
    began = now()
    await asyncio.to_thread(ring.nodes[2].pause)
    try:
        await reached(began + HUNG_S)
    finally:
        ring.nodes[2].resume()
    assert s.standstill(began, now()) < WRITES_S
    answered(between(s.reads, began, now()), between(s.posts, began, now()), before)
    await asyncio.to_thread(ring.agree)


async def one_dies(ring: CassandraRing, s: Scene, before: list[Read]) -> None:
    """Killed, and started again on what it had."""
    began = now()
    # Its end takes up to a second, in which the load goes on.
    await asyncio.to_thread(ring.nodes[1].crash)
    await reached(began + GONE_S)
    await asyncio.to_thread(ring.nodes[1].start)
    await asyncio.to_thread(ring.agree)
    assert s.standstill(began, now()) < WRITES_S
    answered(between(s.reads, began, now()), between(s.posts, began, now()), before)


async def two_die(ring: CassandraRing, s: Scene) -> None:
    """There is no quorum: nothing is archived and nothing is given up, and viewers are told everything."""
    seen, began = len(s.arrivals), now()
    await asyncio.gather(*(asyncio.to_thread(node.crash) for node in ring.nodes[:2]))
    await reached(began + GONE_S)
    stood = s.archived
    await asyncio.gather(*(asyncio.to_thread(node.start) for node in ring.nodes[:2]))
    back = s.archived_at(now())
    backlog = back.last - stood
    assert len(s.arrivals) - seen > PER_S * (now() - began) / 2
    assert s.silence(began, now()) < WRITES_S
    await s.until(lambda: s.archived > stood and s.lag < PER_S, 60)
    assert backlog > PER_S * GONE_S / 2
    # The archive tries again after `RETRY_S` at most; then the backlog goes, while more comes in.
    assert now() - back.at < RETRY_S + backlog / ((DRAIN - 1) * PER_S)
