"""The keeper of a run's CQL server: starts it, tells where it is, and ends it when the run has ended.

python -m tests.backends.keeper FOLDER PID DESCRIPTOR

A process of its own, since any worker of a run may end before the others, and a killed run cannot tidy up.
"""

import contextlib
import json
import os
import select
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from tests.backends import nats
from tests.backends.cassandra import IMAGE, CqlServer
from tests.backends.cassandranode import CassandraNode


def main(folder: Path, run: int, starting: int) -> None:
    """Start, tell, wait, stop; *starting* is a lock that is given back when there is something to tell."""
    try:
        watched = os.pidfd_open(run)
    except OSError:
        # The run is over already.
        return
    found, stop = _container() if nats.engine_answers() else _process(folder)
    try:
        _tell(folder, found())
        os.close(starting)
        select.select([watched], [], [])
    except Exception as error:  # noqa: BLE001 - whatever it is, the tests that wait are told
        _tell(folder, {"error": f"{type(error).__name__}: {error}"})
    finally:
        stop()


def _process(folder: Path) -> tuple[Callable[[], CqlServer], Callable[[], None]]:
    node = CassandraNode(folder / "node")

    def start() -> CqlServer:
        node.start()
        return CqlServer(node.host, node.port, node.what)

    return start, node.kill


def _container() -> tuple[Callable[[], CqlServer], Callable[[], None]]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - most machines have no engine
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    modest = "--smp 1 --memory 1G --overprovisioned 1 --developer-mode 1"
    container = DockerContainer(IMAGE).with_command(modest).with_exposed_ports(9042)

    def start() -> CqlServer:
        container.waiting_for(LogMessageWaitStrategy("Starting listening for CQL clients")).start()
        return CqlServer(container.get_container_host_ip(), int(container.get_exposed_port(9042)), IMAGE)

    def stop() -> None:
        with contextlib.suppress(Exception):
            container.stop()

    return start, stop


def _tell(folder: Path, what: CqlServer | dict[str, str]) -> None:
    answer = what if isinstance(what, dict) else {"host": what.host, "port": what.port, "what": what.what}
    partial = folder / f"server.{threading.get_ident()}"
    partial.write_text(json.dumps(answer))
    partial.rename(folder / "server.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
