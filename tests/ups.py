"""`ovation up` as a person runs it: one command, ports and a folder of its own, and everything that it starts."""

import asyncio
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_port
from tests.processes import OVATION, Client, environment
from tests.waits import PATIENCE_S, eventually

PR_SET_PDEATHSIG = 1
#: Programs that start side by side on two busy cores.
START_S = 90.0
_libc = ctypes.CDLL(None)


class Up:
    """One `ovation up`, dying with the test run."""

    def __init__(self, folder: Path, *arguments: str, **settings: object) -> None:
        """*folder* holds its data and what it printed; *settings* as `environment` takes them."""
        self.arguments = arguments
        self.data = folder / "data"
        self.log = folder / "up.log"
        self.ports = {name: free_port() for name in ("http_port", "rtmp_port", "nats_port", "ops_port")}
        self.settings: dict[str, object] = {**self.ports, "data_dir": self.data, "drain_s": 0.2, **settings}
        self.popen: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        """Where its pages and API are."""
        return f"http://127.0.0.1:{self.settings['http_port']}"

    @property
    def ops_url(self) -> str:
        """Where the internal port of `up` itself is."""
        return f"http://127.0.0.1:{self.settings['ops_port']}"

    @property
    def text(self) -> str:
        """What it printed."""
        return self.log.read_text()

    def start(self, terminal: int = -1) -> "Up":
        """Start it, or start it again on the same ports and data; with the slave end of a *terminal*, as its own."""

        def prepare() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if terminal >= 0:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        with self.log.open("wb") as output:
            self.popen = subprocess.Popen(
                [str(OVATION), "up", *self.arguments],
                env=environment(**self.settings),
                stdin=terminal if terminal >= 0 else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=prepare,  # noqa: PLW1509 - two system calls
            )
        return self

    async def ready(self, *names: str) -> "Up":
        """Wait until every process is ready, those called *names* among them."""

        async def is_ready() -> bool:
            if self.popen is not None and self.popen.poll() is not None:
                msg = f"ovation up ended with {self.popen.returncode}:\n{self.text[-3000:]}"
                raise AssertionError(msg)
            rows = self.kept_rows()
            return {"nats", "gateway-0", *names} <= {row["name"] for row in rows} and all(r["state"] == "ready" for r in rows)

        await eventually(is_ready, timeout=START_S)
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.popen is not None
        return self.popen.pid

    def signal(self, number: int) -> None:
        """Send a signal to it alone."""
        os.kill(self.pid, number)

    async def ended(self, timeout: float = PATIENCE_S) -> int:
        """Wait for its end; the exit code."""
        assert self.popen is not None
        return await asyncio.to_thread(self.popen.wait, timeout)

    def kill(self) -> None:
        """Kill -9 of the parent alone, and wait until it is gone."""
        if self.popen is not None and self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()

    async def run(self, *arguments: str, **settings: object) -> tuple[int, str, str]:
        """Another `ovation` command with the same settings: exit code, stdout, stderr."""
        return await run(*arguments, **{**self.settings, **settings})

    async def rows(self) -> dict[str, dict[str, Any]]:
        """What `ovation status --json` prints, by name."""
        code, out, errors = await self.run("status", "--json")
        assert (0, "") == (code, errors)
        return {row["name"]: row for row in json.loads(out)}

    def kept_rows(self) -> list[dict[str, Any]]:
        """The same from the file it is read from: cheap enough to ask often."""
        try:
            rows: list[dict[str, Any]] = json.loads((self.data / "run" / "status.json").read_bytes())["processes"]
        except OSError:
            return []
        return rows

    def row(self, name: str) -> dict[str, Any]:
        """One process of `kept_rows`."""
        return next((row for row in self.kept_rows() if row["name"] == name), {})

    def client(self) -> Client:
        """The public API."""
        return Client(self.url)


async def run(*arguments: str, **settings: object) -> tuple[int, str, str]:
    """Run `ovation ...` to its end: exit code, stdout, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(str(OVATION), *arguments),
        env=environment(**settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(START_S):
            out, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return process.returncode or 0, out.decode(), errors.decode()


@asynccontextmanager
async def running(folder: Path, *arguments: str, **settings: object) -> AsyncIterator[Up]:
    """An `up` that is ready, killed at the end; its children go with it."""
    up = Up(folder, *arguments, **settings).start()
    try:
        yield await up.ready()
    finally:
        family = descendants(up.pid)
        up.kill()
        await eventually(lambda: not alive(family))


def descendants(pid: int) -> dict[int, str]:
    """Every process that *pid* or a child of it started: its id and program, by /proc."""
    parents: dict[int, int] = {}
    programs: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            head, _, rest = (folder / "stat").read_text().rpartition(")")
        except OSError:
            continue
        parents[int(folder.name)] = int(rest.split()[1])
        programs[int(folder.name)] = head.partition("(")[2]
    found: dict[int, str] = {}
    wave = {pid}
    while wave:
        wave = {child for child, parent in parents.items() if parent in wave}
        found |= {child: programs[child] for child in wave}
    return found


def alive(family: dict[int, str]) -> list[str]:
    """Which of them still run, zombies not counted: their parent has not looked yet."""
    left = []
    for pid, program in family.items():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            left.append(f"{program} ({pid})")
    return left


async def readyz(ops_url: str) -> tuple[int, dict[str, Any]]:
    """What an internal port says of its process."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{ops_url}/readyz")
        return answer.status_code, answer.json()
