"""The archive as `ovation worker archive` runs it: what its parent and an operator see, and what kills cannot do."""

import asyncio
import random
import signal
import sqlite3
from pathlib import Path

import httpx
import pytest

from infra.sqlite import Database, SqliteComments
from infra.sqlite.schema import MIGRATIONS
from schemas import subjects
from tests.archives import LOG, say
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.factories import comment
from tests.ports import free_port
from tests.processes import Process, killed_after
from tests.stopping import stop
from tests.waits import eventually

pytestmark = pytest.mark.nats


def worker(nats: NatsServer, folder: Path, **settings: object) -> Process:
    """An archive process that writes `folder`/ovation.sqlite."""
    where = {"nats_url": nats.url, "data_dir": folder, "store_url": f"sqlite:///{folder}/ovation.sqlite", "ops_port": 0}
    return Process("worker", "archive", log=folder / "archive.log", **where, log_format="json", **settings)


async def missing(process: Process) -> tuple[int, dict[str, str]]:
    """What /readyz says: the status, and the conditions that do not hold."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{process.ops_url}/readyz")
        return answer.status_code, answer.json()["missing"]


async def archived(b: Broker, store: SqliteComments) -> None:
    """Wait until everything in the log is archived."""

    async def done() -> bool:
        return await store.archived_through(LOG) >= (await b.reader.state(LOG)).last

    await eventually(done, timeout=40)


@pytest.mark.parametrize("role", [("worker", "archive"), ("worker", "media"), ("gateway",)])
async def test_who_waits_for_a_broker_ends_when_told(role: tuple[str, ...], tmp_path: Path) -> None:
    """SIGTERM before it ever was ready: nothing is to be drained, and it does not wait for a broker that never comes."""
    nowhere: dict[str, object] = {
        "nats_url": f"nats://127.0.0.1:{free_port()}",
        "data_dir": tmp_path,
        "ops_port": 0,
        "http_port": 0,
    }
    process = Process(*role, log=tmp_path / "log", **nowhere, rtmp_port=free_port(), jwt_secret="s" * 64)
    with killed_after(process):
        process.start()
        await eventually(lambda: process.state == "starting" and bool(process.states))

        async def connecting() -> bool:
            return (await missing(process))[1].get("nats") == "connecting"

        await eventually(connecting)
        process.signal(signal.SIGTERM)
        await eventually(lambda: not process.alive)
        assert process.popen is not None
        assert process.popen.returncode == 0
        assert "Traceback" not in process.text


async def test_its_life_as_the_parent_sees_it(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Ready; degraded while the broker is away, with the reason on /readyz; ready again; SIGTERM ends it with 0."""
    async with broker(own_nats_server.url):
        process = worker(own_nats_server, tmp_path)
        with killed_after(process):
            await process.start().ready()
            assert await missing(process) == (200, {})
            own_nats_server.kill()
            await eventually(lambda: process.state == "degraded")
            status, reasons = await missing(process)
            assert (status, reasons["nats"]) == (503, "the broker is away")
            own_nats_server.start()
            await eventually(lambda: process.state == "ready")
            process.signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait) == 0
            assert process.state == "stopped"


async def test_it_waits_for_the_topology(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Started first, it says what it waits for; it goes on by itself once the topology is applied."""
    process = worker(own_nats_server, tmp_path)
    with killed_after(process):
        process.start()
        await eventually(lambda: process.state == "degraded")
        assert "topology" in (await missing(process))[1]["archive"]
        async with broker(own_nats_server.url):
            await process.ready()
            assert await missing(process) == (200, {})


async def test_metrics_tell_the_lag(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Items, commits and lag are on the internal port."""
    async with broker(own_nats_server.url) as b:
        process = worker(own_nats_server, tmp_path)
        with killed_after(process):
            await process.start().ready()
            stream_id = fresh_stream()
            for n in range(5):
                await say(b, stream_id, comment(n), str(n))

            async def told() -> bool:
                async with httpx.AsyncClient() as client:
                    text = (await client.get(f"{process.ops_url}/metrics")).text
                return "ovation_archived_items_total 5.0" in text and 'ovation_archive_lag{log="LIVE_0"} 0.0' in text

            await eventually(told)


async def test_a_newer_store_stops_it_with_the_reason(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Exit code 2 and one line that names the file and the way out."""
    path = tmp_path / "ovation.sqlite"
    await (await Database.open(path)).close()
    direct = sqlite3.connect(path)
    direct.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 7}")
    direct.close()
    process = worker(own_nats_server, tmp_path)
    with killed_after(process):
        process.start()
        assert await asyncio.to_thread(process.wait) == 2
        assert f"ovation: {path} has format {len(MIGRATIONS) + 7}" in process.text


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(3))
async def test_kills_and_pauses_lose_nothing(own_nats_server: NatsServer, tmp_path: Path, seed: int) -> None:
    """Kill -9 or SIGSTOP of the archive at three random moments of posting: all is stored once, the watermark true."""
    chance = random.Random(seed)
    process = worker(own_nats_server, tmp_path, archive_batch=chance.choice((1, 20, 500)))
    async with broker(own_nats_server.url) as b:
        stream_id = fresh_stream()
        with killed_after(process):
            await process.start().ready()
            database = await Database.open(tmp_path / "ovation.sqlite")
            store = SqliteComments(database)
            numbers = iter(range(10_000))
            seqs: list[int] = []

            async def hurt(action: str, stored: int) -> None:
                async def moment() -> bool:
                    batch = (say(b, stream_id, comment(n), str(n)) for n, _ in zip(numbers, range(40), strict=False))
                    seqs.extend(await asyncio.gather(*batch))
                    await holds(b, store, stream_id)
                    return await store.total(stream_id) >= stored

                await eventually(moment)
                if action == "kill":
                    process.kill()
                    await process.start().ready()
                    return
                stop(process.pid)
                seqs.append(await say(b, stream_id, comment(n := next(numbers)), str(n)))
                process.signal(signal.SIGCONT)

            for _ in range(3):
                await hurt(chance.choice(("kill", "kill", "pause")), await store.total(stream_id) + chance.randint(1, 60))
            await archived(b, store)
            await holds(b, store, stream_id)
            assert [item.seq for item in await store.range(stream_id, 0, 2**53, 20_000)] == sorted(seqs)
            assert await store.total(stream_id) == len(seqs)
            await database.close()


async def holds(b: Broker, store: SqliteComments, stream_id: str) -> None:
    """What the log has up to the watermark is in the store."""
    through = min(await store.archived_through(LOG), (await b.reader.state(LOG)).last)
    in_log = [m.seq for m in await b.reader.range(LOG, subjects.live(0, stream_id), 0, through)]
    in_store = {item.seq for item in await store.range(stream_id, 0, through, 20_000)}
    assert not [seq for seq in in_log if seq not in in_store]
