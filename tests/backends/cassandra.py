"""The CQL server of a test run: one that is there, one in a container, or Apache Cassandra as a process of ours.

It takes 540 MB and 5-15 s of two cores to start, so the workers of a run share one. The first that may need it starts it,
under a lock in the run's folder, and goes on with other tests meanwhile; a keeper (`keeper.py`) owns the
process and ends it when the run is over, however that ends. `OVATION_SCYLLA_CONTACT_POINTS` (host:port, comma separated)
names a server that is there. A test that finds no server fails; none is skipped.
"""

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from scripts.cassandra import VERSION
from tests.backends import nats

CONTACT_POINTS = "OVATION_SCYLLA_CONTACT_POINTS"
IMAGE = "scylladb/scylla:2026.1"
#: Kept: a process that is forgotten while it runs is a warning.
keepers: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class CqlServer:
    """Where it answers, and what it is."""

    host: str
    port: int
    what: str

    @property
    def url(self) -> str:
        """What OVATION_STORE_URL begins with; the keyspace follows."""
        return f"scylla://{self.host}:{self.port}"


def elsewhere() -> CqlServer | None:
    """The server that OVATION_SCYLLA_CONTACT_POINTS names; a setting of Ovation's own too, so no process of ours minds it."""
    named = os.environ.get(CONTACT_POINTS)
    if not named:
        return None
    host, _, port = named.split(",")[0].strip().partition(":")
    return CqlServer(host, int(port or 9042), f"{CONTACT_POINTS}={named}")


def described() -> str:
    """What the header of a run says."""
    if there := elsewhere():
        return there.what
    if nats.engine_answers():
        return f"{IMAGE} in a container"
    return f"Apache Cassandra {VERSION} as a process, from its jars"


def begin(folder: Path) -> None:
    """Have the keeper start the server of this run, unless somebody has; returns at once."""
    if elsewhere() is not None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "keeper.log").exists():
            return
        with (folder / "keeper.log").open("wb") as output, (folder / "starting").open("w") as starting:
            # The keeper inherits this lock and lets go of it when the server answers, or when it dies.
            fcntl.flock(starting, fcntl.LOCK_EX)
            keepers.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.backends.keeper", str(folder), str(run_pid()), str(starting.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(starting.fileno(),),
                )
            )


def run_pid() -> int:
    """The process that lives as long as the run: pytest's own, or the one that has workers."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def server(folder: Path) -> CqlServer:
    """The server of this run, once it answers.

    Raises:
        AssertionError: it cannot be had; says why.
    """
    if there := elsewhere():
        return there
    begin(folder)
    with (folder / "starting").open() as starting:
        fcntl.flock(starting, fcntl.LOCK_SH)
    told = folder / "server.json"
    answer = json.loads(told.read_text()) if told.exists() else {"error": (folder / "keeper.log").read_text()[-3000:]}
    assert "error" not in answer, f"no CQL server: {answer['error']}"
    return CqlServer(**answer)
