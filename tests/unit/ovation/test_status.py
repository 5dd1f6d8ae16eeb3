"""What `ovation status` makes of the file that `up` keeps."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ovation import status
from ovation.supervisor import Row

ROWS = [
    Row("nats", pid=11, state="ready", url="nats://127.0.0.1:4222"),
    Row("worker archive", pid=12, state="degraded", ops_url="http://127.0.0.1:5000", restarts=2, note="not for others"),
]
SHOWN = {"name", "pid", "state", "url", "ops_url", "restarts"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory."""
    (tmp_path / "run").mkdir()
    return tmp_path


def gone() -> int:
    """The id of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_what_is_written_is_read(folder: Path) -> None:
    """Exactly the six fields of the contract."""
    status.write(folder, os.getpid(), ROWS)
    rows = status.read(folder)

    assert [row["name"] for row in rows] == ["nats", "worker archive"]
    assert [set(row) for row in rows] == [SHOWN, SHOWN]
    assert (rows[1]["pid"], rows[1]["state"], rows[1]["restarts"]) == (12, "degraded", 2)


def test_a_dead_supervisor_means_stopped(folder: Path) -> None:
    """Killed, it could not say so itself; its children went with it."""
    status.write(folder, gone(), ROWS)

    assert [(row["pid"], row["state"]) for row in status.read(folder)] == [(None, "stopped")] * 2


def test_a_reused_id_is_somebody_else(folder: Path) -> None:
    """After a reboot another program may have the number of the `up` that wrote the file."""
    status.write(folder, os.getpid(), ROWS)
    path = folder / "run" / "status.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "life": "1"}))

    assert {row["state"] for row in status.read(folder)} == {"stopped"}


def test_a_zombie_is_gone(folder: Path) -> None:
    """Killed and not yet reaped by whoever started it."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    status.write(folder, ended.pid, ROWS)
    try:
        assert {row["state"] for row in status.read(folder)} == {"stopped"}
    finally:
        ended.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": "x", "processes": []}', "null"])
def test_a_damaged_file_is_nothing(folder: Path, text: str) -> None:
    """Cut by a full disk or edited: `status` still answers."""
    (folder / "run" / "status.json").write_text(text)

    assert status.read(folder) == []


def test_the_table_is_for_people(folder: Path) -> None:
    """One line per process under a header; where nothing runs, how to start it."""
    status.write(folder, os.getpid(), ROWS)
    lines = status.table(status.read(folder)).splitlines()

    assert lines[0].split() == ["name", "state", "pid", "restarts", "address"]
    assert lines[1].split() == ["nats", "ready", "11", "0", "nats://127.0.0.1:4222"]
    assert "ovation up" in status.table([])
