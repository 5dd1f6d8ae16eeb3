"""Kill -9 and SIGSTOP of everything, while people post: what was acknowledged is everywhere, once.

A test's number is its seed: `pytest "tests/e2e/test_chaos.py::test_what_was_acknowledged_is_everywhere_once[2]"` does the same
again; CHAOS_SEED=17 tries the rounds of another one instead of the usual four.
"""

import asyncio
import itertools
import os
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.sqlite import Database, SqliteComments
from schemas import codec, subjects
from schemas.items import Comment
from tests.backends.nats import NatsServer
from tests.broker import broker
from tests.cluster import Cluster, cluster
from tests.crowd import Crowd, side_by_side
from tests.ports import free_port
from tests.processes import Client, Process, killed_after
from tests.stopping import stop
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.media, pytest.mark.e2e, pytest.mark.chaos]

SEEDS = [int(os.environ["CHAOS_SEED"])] if "CHAOS_SEED" in os.environ else [1, 2, 3, 4]
#: Four seeds make the twenty rounds.
ROUNDS = 5
AUTHORS = 4
#: Each of the four, both ways; a seed takes five of the eight.
WAYS = list(itertools.product(("archive", "gateway", "nats", "media"), ("kill", "pause")))


@dataclass
class Victim:
    """A process that is killed and started again, or paused and resumed."""

    pid: Callable[[], int]
    kill: Callable[[], object]
    start: Callable[[], object]
    ready: Callable[[], Awaitable[object]]


def victims(c: Cluster, media: Process, chance: random.Random) -> dict[str, Victim]:
    """By name; `gateway` is one of them, chosen now."""

    async def at_once() -> None:
        """A nats-server that was started takes connections."""

    def of(process: Process) -> Victim:
        return Victim(lambda: process.pid, process.kill, process.start, process.ready)

    assert c.archive is not None
    return {
        "archive": of(c.archive),
        "gateway": of(chance.choice(c.gateways)),
        "media": of(media),
        "nats": Victim(lambda: c.nats.pid, c.nats.kill, c.nats.start, at_once),
    }


async def hurt(victim: Victim, way: str, crowd: Crowd, chance: random.Random) -> None:
    """One round: at a random moment of posting, for a random while; it ends when posting goes on."""
    await more(crowd, chance.randint(1, 40))
    if way == "kill":
        victim.kill()
        await passed(chance.uniform(0, 1))
        victim.start()
        await victim.ready()
    else:
        stop(victim.pid())
        try:
            # Long enough for a broker's clients to give it up in half of the cases.
            await passed(chance.choice((0.3, 1.0, 3.0, 7.0)))
        finally:
            os.kill(victim.pid(), signal.SIGCONT)
    await more(crowd, chance.randint(1, 20))


async def more(crowd: Crowd, count: int) -> None:
    """Wait until *count* more comments have been acknowledged."""
    goal = len(crowd.posted) + count
    await eventually(lambda: len(crowd.posted) >= goal, timeout=40)


async def passed(seconds: float) -> None:
    """An outage has a length; nothing else tells that it is over."""
    until = asyncio.get_running_loop().time() + seconds
    await eventually(lambda: asyncio.get_running_loop().time() >= until)


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_was_acknowledged_is_everywhere_once(own_nats_server: NatsServer, tmp_path: Path, seed: int) -> None:
    """Five rounds: every comment that was answered is in the live log, in the store and on every viewer, once, in one order."""
    chance = random.Random(seed)
    rounds = chance.sample(WAYS, ROUNDS)
    print(f"seed {seed}: {', '.join(f'{way} {name}' for name, way in rounds)}; again with CHAOS_SEED={seed}")  # noqa: T201 - shown on failure
    async with cluster(own_nats_server, tmp_path, gateways=2, limits="100000/1") as c:
        assert c.archive is not None
        port = free_port()
        video = {**c.archive.settings, "rtmp_port": port, "rtmp_host": "127.0.0.1", "transcode_heights": 0}
        media = Process("worker", "media", log=tmp_path / "media.log", **video)
        async with await Client(c.url(0)).guest() as host:
            started = await host.start()
        crowd = Crowd(c, started["stream_id"])
        target = f"rtmp://127.0.0.1:{port}/live/{started['stream_key']}"
        with killed_after(media):
            await media.start().ready()
            others = [asyncio.create_task(crowd.watch(n % 2, gzip=n < 2)) for n in range(4)]
            others.append(asyncio.create_task(crowd.broadcast(target)))
            async with side_by_side(*others):
                await eventually(lambda: len(crowd.viewers) == 4 and all(viewer.events for viewer in crowd.viewers))
                authors = [asyncio.create_task(crowd.post(f"Author {n}")) for n in range(AUTHORS)]
                async with side_by_side(*authors):
                    for name, way in rounds:
                        await hurt(victims(c, media, chance)[name], way, crowd, chance)
                    crowd.leave()
                    await asyncio.wait_for(asyncio.gather(*authors), 60)
                    await everywhere_once(c, crowd)


async def everywhere_once(c: Cluster, crowd: Crowd) -> None:
    """Compare the answers, the log, the store and what the viewers saw."""
    assert crowd.refusals == []
    newest = max(crowd.posted.values())
    in_log = await logged(c, crowd.stream_id)
    assert in_log == sorted((seq, text) for text, seq in crowd.posted.items())
    texts = [text for _, text in in_log]
    for viewer in crowd.viewers:
        await viewer.until(lambda v: v.last_id is not None and v.last_id >= newest)
        assert viewer.texts == texts
        assert viewer.faults == []
        assert viewer.gaps == []
    await c.archived(crowd.stream_id, len(texts))
    assert c.archive is not None
    database = await Database.open(Path(str(c.archive.settings["data_dir"])) / "store" / "ovation.sqlite")
    rows = await SqliteComments(database).range(crowd.stream_id, 0, 2**53, 100_000)
    await database.close()
    stored = [(row.seq, item.text) for row in rows if isinstance(item := codec.decode_item(row.payload), Comment)]
    assert stored == in_log


async def logged(c: Cluster, stream_id: str) -> list[tuple[int, str]]:
    """The stream's comments as the live log has them."""
    async with broker(c.nats_url, apply=False) as b:
        state = await b.reader.state(subjects.live_log(0))
        messages = await b.reader.range(subjects.live_log(0), subjects.live(0, stream_id), 0, state.last, 100_000)
    return [(m.seq, item.text) for m in messages if isinstance(item := codec.decode_item(m.payload), Comment)]
