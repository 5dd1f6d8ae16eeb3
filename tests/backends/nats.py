"""nats-server as a process of the test run, on a port and in a folder of its own; tests kill it, stop it and start it again."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.ports import free_port
from tests.stopping import stop

PROGRAM = Path(sys.executable).with_name("nats-server")
START_S = 60.0
STOP_S = 10.0
#: How long a container engine has to say that it is there; a stale socket must not hold up every run.
ENGINE_S = 1
IMAGE = "nats:2.15-alpine"
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class NatsElsewhere:
    """A broker that the tests talk to and cannot kill: TEST_NATS_URL's, or a container's."""

    url: str
    what: str

    @property
    def port(self) -> int:
        """Its port."""
        return urlsplit(self.url).port or 4222


class NatsServer:
    """One nats-server with JetStream, its store in *folder*; it ends with the test run, however that ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "nats-server.log"
        self.process: subprocess.Popen[bytes] | None = None
        # Kept over restarts: clients reconnect to where it was. Of no port of the kernel's own range, which somebody else may
        # have by then, or the client itself: to nobody's port in that range a connection can be made from that very port.
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process is not None, "nats-server is not started"
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs; a paused one does."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> "NatsServer":
        """Start it, or start it again on the same port and store; returns when it takes connections."""
        assert not self.alive, "nats-server runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder / "store")]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(PROGRAM), *arguments, "--ports_file_dir", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one libc call
            )
        self.port = self._listening()
        return self

    def stop(self) -> None:
        """Ask it to end, as an operator does, and wait until it has."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP: its sockets stay open and nothing answers."""
        stop(self.pid)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def _listening(self) -> int:
        """The client port, from the file that the server writes when all its listeners are up and its store is read."""
        assert self.process is not None
        ports = self.folder / f"nats-server_{self.process.pid}.ports"
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                # Waits 5 ms, unless the server ends first.
                code = self.process.wait(0.005)
            except subprocess.TimeoutExpired:
                if ports.exists() and (text := ports.read_text()):
                    return urlsplit(json.loads(text)["nats"][0]).port or self.port
            else:
                msg = f"nats-server ended with {code}; its log:\n{self.log.read_text()[-2000:]}"
                raise AssertionError(msg)
        self.kill()
        msg = f"nats-server took no connections in {START_S} s; its log:\n{self.log.read_text()[-2000:]}"
        raise AssertionError(msg)


def version() -> str:
    """What the wheel's nats-server says it is."""
    if not PROGRAM.exists():
        return "MISSING: run ./just setup"
    return subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, check=True).stdout.strip()


def elsewhere() -> NatsElsewhere | None:
    """The broker that TEST_NATS_URL names, for tests that share one.

    The name has no OVATION_ in front, because an unknown setting stops every process of ours.
    """
    url = os.environ.get("TEST_NATS_URL")
    return NatsElsewhere(url, f"TEST_NATS_URL={url}") if url else None


def engine_answers() -> bool:
    """Whether a container engine is there and answers within a second."""
    if not os.environ.get("DOCKER_HOST") and not Path("/var/run/docker.sock").exists():
        return False
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        answer = subprocess.run([docker, "version"], capture_output=True, check=False, timeout=ENGINE_S)
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
