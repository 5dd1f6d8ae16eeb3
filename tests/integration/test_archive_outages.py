"""The store full, read-only or unwilling under a running archive: nothing is lost, nothing given up, and it is said once."""

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from infra.environment import load
from infra.sqlite import Database, SqliteComments
from infra.telemetry import metrics
from ovation.verify import differences
from schemas import subjects
from tests.archives import archive, say
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker, fresh_stream
from tests.disks import small_disk
from tests.factories import comment
from tests.processes import Process, killed_after
from tests.waits import eventually
from workers.archive import lag, pace

pytestmark = pytest.mark.nats

END = 2**53


async def post(b: Broker, stream_id: str, numbers: range) -> list[int]:
    """Comments *numbers* of a stream; their seqs, ascending."""
    return sorted(await asyncio.gather(*(say(b, stream_id, comment(n), f"{stream_id}:{n}") for n in numbers)))


def worker(nats: NatsServer, folder: Path, store: Path, **settings: object) -> Process:
    """An archive process."""
    where = {"nats_url": nats.url, "data_dir": folder, "store_url": f"sqlite:///{store}/ovation.sqlite", "ops_port": 0}
    return Process("worker", "archive", log=folder / "archive.log", **where, log_format="json", **settings)


def said(process: Process, *events: str) -> list[dict[str, str]]:
    """The lines of these events."""
    lines = (json.loads(line) for line in process.text.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] in events]


async def metric(process: Process, name: str) -> float:
    """One of its metrics."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{process.ops_url}/metrics")).text
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name)), 0.0)


async def missing(process: Process) -> dict[str, str]:
    """What /readyz says does not hold."""
    async with httpx.AsyncClient() as client:
        found: dict[str, str] = (await client.get(f"{process.ops_url}/readyz")).json()["missing"]
        return found


def rss_mib(process: Process) -> float:
    """Resident memory."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of eight megabytes."""
    with small_disk(tmp_path / "small", "8m") as folder:
        yield folder


async def verified(b: Broker, path: Path, stream_id: str) -> list[str]:
    """What `ovation verify` says beside its last line."""
    database = await Database.open(path)
    try:
        return [line async for line in differences(b.reader, SqliteComments(database), 0, stream_id)][:-1]
    finally:
        await database.close()


async def test_a_full_file_system_is_waited_for(own_nats_server: NatsServer, tmp_path: Path, small: Path) -> None:
    """Not a byte is left while 3,000 comments come: one line, the metrics, no more memory; with room all of it is stored."""
    async with broker(own_nats_server.url) as b:
        process = worker(own_nats_server, tmp_path, small)
        with killed_after(process):
            await process.start().ready()
            stream_id = fresh_stream()
            await post(b, stream_id, range(100))
            await eventually(lambda: "ready" in process.state)
            before = rss_mib(process)
            _fill(small / "ballast")
            for n in range(100, 3100, 500):
                await post(b, stream_id, range(n, n + 500))

            async def tried() -> bool:
                return await metric(process, 'ovation_worker_retries_total{log="LIVE_0"}') > 4

            await eventually(tried)

            async def told() -> bool:
                return await metric(process, 'ovation_archive_lag{log="LIVE_0"}') >= 2500

            await eventually(told)
            assert await metric(process, 'ovation_worker_waiting{log="LIVE_0"}') == 1
            assert await metric(process, 'ovation_archive_lag_seconds{log="LIVE_0"}') > 0
            assert "is full (0.0 MiB free); free space on it" in (await missing(process))["archive"]
            assert rss_mib(process) - before < 64
            (small / "ballast").unlink()

            async def over() -> bool:
                return await metric(process, 'ovation_archive_lag{log="LIVE_0"}') == 0 and bool(said(process, "going on"))

            await eventually(over, timeout=40)
            assert [line["event"] for line in said(process, "waiting", "still waiting", "going on")] == ["waiting", "going on"]
            assert "is full" in said(process, "waiting")[0]["cause"]
            assert await verified(b, small / "ovation.sqlite", stream_id) == []
            assert not await b.reader.follow_from("DEAD", subjects.dead("archive"), 0)


async def test_a_read_only_store_is_waited_for(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Started on a file and folder that may not be written: it says so once and goes on by itself when they may."""
    folder = tmp_path / "store"
    folder.mkdir()
    path = folder / "ovation.sqlite"
    await (await Database.open(path)).close()
    async with broker(own_nats_server.url) as b:
        stream_id = fresh_stream()
        process = worker(own_nats_server, tmp_path, folder)
        with killed_after(process):
            _protect(folder, path, on=True)
            try:
                await post(b, stream_id, range(50))
                process.start()
                await eventually(lambda: process.state == "degraded")
                await eventually(lambda: bool(said(process, "waiting")))
                assert "check the folder" in (await missing(process))["archive"]
            finally:
                _protect(folder, path, on=False)
            await process.ready()

            async def all_there() -> bool:
                return await metric(process, "ovation_archived_items_total") >= 50

            await eventually(all_there)
            assert await verified(b, path, stream_id) == []
            # One for the file that could not be opened; or one for the log, where a read-only file could be.
            assert len(said(process, "waiting")) == 1


def _fill(ballast: Path) -> None:
    """Take all that is left of the file system."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    assert shutil.disk_usage(ballast.parent).free == 0


def _protect(*paths: Path, on: bool) -> None:
    """Nobody may write; root is not stopped by modes."""
    if os.geteuid() == 0:
        assert shutil.which("chattr"), "root needs chattr for this"
        subprocess.run(["chattr", "+i" if on else "-i", *map(str, paths)], check=True)
        return
    for each in paths:
        each.chmod((0o500 if on else 0o700) if each.is_dir() else (0o400 if on else 0o600))


async def test_a_row_that_the_store_refuses_is_put_aside_alone(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """The store takes all but one comment of a batch: those are stored at once, that one goes to the dead letters."""
    path = tmp_path / "db"
    await (await Database.open(path)).close()
    direct = sqlite3.connect(path)
    refusal = "WHEN NEW.msg_id LIKE '%:13' BEGIN SELECT RAISE(ABORT, 'not that one'); END"
    direct.execute(f"CREATE TRIGGER unwilling BEFORE INSERT ON items {refusal}")
    direct.close()
    settings = load({"OVATION_ARCHIVE_MAX_DELIVER": "3"})
    async with broker(own_nats_server.url, settings) as b:
        stream_id = fresh_stream()
        seqs = await post(b, stream_id, range(300))
        async with archive(b, path) as running:

            async def others_are_there() -> bool:
                return len(await running.comments.range(stream_id, 0, END, 1000)) == 299

            await eventually(others_are_there)
            await running.caught_up()
            letters = await b.reader.follow_from("DEAD", subjects.dead("archive"), 0)
            assert [letter.headers["Ovation-Msg-Id"] for letter in letters] == [f"{stream_id}:13"]
            assert "refused 3 times" in letters[0].headers["Ovation-Reason"]
            assert "not that one" in letters[0].headers["Ovation-Reason"]
            stored = [item.seq for item in await running.comments.range(stream_id, 0, END, 1000)]
            assert [str(seq) for seq in seqs if seq not in stored] == [letters[0].headers["Ovation-Seq"]]


async def test_a_store_that_refuses_everything_is_an_outage(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """Every row is refused, longer than a single one would be suffered: nothing is put aside, and all is stored afterwards."""
    path = tmp_path / "db"
    settings = load({"OVATION_ARCHIVE_MAX_DELIVER": "2"})
    async with broker(own_nats_server.url, settings) as b, archive(b, path) as running:
        stream_id = fresh_stream()
        seqs = await post(b, stream_id, range(20))
        await running.caught_up()
        await running.database.write(
            lambda db: db.execute("CREATE TRIGGER no BEFORE INSERT ON items BEGIN SELECT RAISE(ABORT, 'nothing'); END")
        )
        seqs += await post(b, stream_id, range(20, 120))
        await eventually(lambda: "nothing is taken" in running.trouble)
        began = b.clock.monotonic()
        await eventually(lambda: b.clock.monotonic() - began > 6)
        await running.database.write(lambda db: db.execute("DROP TRIGGER no"))
        await running.caught_up()
        assert [item.seq for item in await running.comments.range(stream_id, 0, END, 1000)] == seqs
        assert not await b.reader.follow_from("DEAD", subjects.dead("archive"), 0)


async def test_the_alarm_comes_while_there_is_room(
    own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store hangs and the log fills up: at 70 % of its bytes it is an alarm, which ends when the archive goes on."""
    monkeypatch.setattr(lag, "MEASURE_S", 0.2)
    limits = load({"OVATION_LIVE_MAX_BYTES": str(2 * 1024**2)})
    async with broker(own_nats_server.url, limits) as b, archive(b, tmp_path / "db") as running:
        stream_id = fresh_stream()
        running.comments.gate.clear()
        await post(b, stream_id, range(1000))
        held = (await lag.measure(running.pull, b.reader, b.clock, 0)).of_bytes
        assert held < lag.BYTES_ALARM
        assert running.alarm == ""
        # To three quarters of what the log takes.
        more = int(1000 * 0.75 / held)
        await post(b, stream_id, range(1000, more))
        await eventually(lambda: "of the bytes that LIVE_0 keeps" in running.alarm)
        share = (await lag.measure(running.pull, b.reader, b.clock, 0)).of_bytes
        assert lag.BYTES_ALARM <= share < 1
        running.comments.gate.set()
        await running.caught_up()
        await eventually(lambda: running.alarm == "")


async def test_a_slow_store_is_said(own_nats_server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store takes its time and fails nothing: one line names it and its time, one tells that it is over; a metric."""
    monkeypatch.setattr(lag, "MEASURE_S", 0.1)
    monkeypatch.setattr(pace, "SLOW_S", 0.3)
    monkeypatch.setattr(pace, "LASTS_S", 0.5)
    events = ("archive falls behind", "archive is still behind", "archive has caught up")
    with capture_logs() as lines:
        async with broker(own_nats_server.url) as b, archive(b, tmp_path / "db") as running:
            stream_id = fresh_stream()

            def told() -> list[str]:
                return [line["event"] for line in lines if line["event"] in events]

            await post(b, stream_id, range(10))
            await running.caught_up()
            assert told() == []
            running.comments.gate.clear()
            await post(b, stream_id, range(10, 60))
            await eventually(lambda: told() == ["archive falls behind"])
            assert 'ovation_archive_slow{log="LIVE_0"} 1.0' in metrics.exposition().decode()
            running.comments.gate.set()
            await running.caught_up()
            await eventually(lambda: told() == ["archive falls behind", "archive has caught up"])
            assert 'ovation_archive_slow{log="LIVE_0"} 0.0' in metrics.exposition().decode()
    [line] = [line for line in lines if line["event"] == "archive falls behind"]
    assert line["store"] == str(tmp_path / "db")
    assert line["seconds_per_batch"] >= 0.5
    assert line["messages"] >= 50
