"""Children that are restarted with backoff, and their states."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ovation.child import Child
from ovation.retold import Retold

FIRST_BACKOFF_S = 0.2
LAST_BACKOFF_S = 10.0
#: A child that has run for so long starts again with the first backoff.
STABLE_S = 30.0
#: Exit code 2 is a setting that is wrong: trying again would say the same.
SETTINGS_WRONG = 2


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run. `ready` is asked for programs that do not tell their state themselves."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    url: str = ""
    #: For programs that do not tell it themselves.
    ops_url: str = ""
    fds: Sequence[int] = ()
    ready: Callable[[], Awaitable[bool]] | None = None
    #: Whether its log is in a form of its own, and is to be told as JSON.
    retell: bool = False


@dataclass
class Row:
    """One line of `ovation status`."""

    name: str
    pid: int | None = None
    state: str = "starting"
    url: str = ""
    ops_url: str = ""
    restarts: int = 0
    note: str = ""


class Supervised:
    """One program, kept running until it is stopped."""

    def __init__(self, program: Program, log: Path, changed: Callable[[], None], *, echo: bool = False) -> None:
        """*changed* is called whenever `row` is different."""
        self.program = program
        self.row = Row(program.name, url=program.url, ops_url=program.ops_url)
        self.ready = asyncio.Event()
        #: Set with the exit code when a setting is wrong and starting again is pointless.
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._log = log
        self._changed = changed
        self._echo = echo
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._restarting = False
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to run it."""
        self._task = asyncio.create_task(self._run())

    async def stop(self, patience_s: float) -> None:
        """SIGTERM, and SIGKILL after *patience_s*."""
        self._stopping.set()
        if self._task is None:
            return
        if self._child is not None:
            self._child.signal(signal.SIGTERM)
            self._child.signal(signal.SIGCONT)
        done, _ = await asyncio.wait({self._task}, timeout=patience_s)
        if not done:
            self.kill()
            await asyncio.wait({self._task}, timeout=5.0)
        self._task.cancel()
        self._set("stopped", pid=None)

    async def restart(self, patience_s: float) -> None:
        """SIGTERM, SIGKILL after *patience_s*, and start it again at once; returns when it is ready, or is being stopped."""
        if self._child is None or self._stopping.is_set():
            return
        self._ended.clear()
        self._restarting = True
        self._child.signal(signal.SIGTERM)
        self._child.signal(signal.SIGCONT)
        try:
            await asyncio.wait_for(self._ended.wait(), patience_s)
        except TimeoutError:
            self._child.signal(signal.SIGKILL)
            await self._ended.wait()
        waits = {asyncio.create_task(each.wait()) for each in (self.ready, self._stopping)}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def kill(self) -> None:
        """End it at once."""
        self._stopping.set()
        if self._child is not None:
            self._child.signal(signal.SIGKILL)

    async def _run(self) -> None:
        backoff = FIRST_BACKOFF_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            code = await self._once()
            self.ready.clear()
            self._ended.set()
            if self._stopping.is_set():
                break
            if self._restarting:
                self._restarting = False
                self.row.restarts += 1
                self._set("starting", pid=None, note="restarted")
                continue
            if code == SETTINGS_WRONG and not self.failed.done():
                self.failed.set_result(_last_line(self._log))
            backoff = FIRST_BACKOFF_S if loop.time() - began > STABLE_S else min(backoff * 2, LAST_BACKOFF_S)
            self.row.restarts += 1
            self._set("starting", pid=None, note=f"ended with {code}, again in {backoff:.1f} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff)
        self._set("stopped", pid=None)

    async def _once(self) -> int:
        program = self.program
        retold = Retold(program.name) if program.retell else None
        self._child = Child(program.name, self._log, self._told, echo=self._echo, retold=retold)
        try:
            await self._child.start(program.command, program.environment, tells=program.ready is None, fds=program.fds)
        except OSError as error:
            self._set("starting", note=str(error))
            return 127
        self._set("starting", pid=self._child.pid, note="")
        asking = asyncio.create_task(self._ask(program.ready)) if program.ready else None
        try:
            return await self._child.wait()
        finally:
            if asking:
                asking.cancel()

    async def _ask(self, ready: Callable[[], Awaitable[bool]]) -> None:
        """Ask a program that does not tell: often until it is ready, then now and then whether it still is."""
        while True:
            if await ready():
                self._told("ready", self.row.ops_url)
                await asyncio.sleep(1.0)
            else:
                if self.row.state == "ready":
                    self._told("degraded", self.row.ops_url)
                await asyncio.sleep(0.05)

    def _told(self, state: str, ops_url: str) -> None:
        if state == "ready":
            self.ready.set()
        self._set(state, ops_url=ops_url)

    def _set(self, state: str, **values: str | int | None) -> None:
        before = (self.row.state, self.row.pid, self.row.ops_url, self.row.restarts, self.row.note)
        self.row.state = state
        for name, value in values.items():
            setattr(self.row, name, value)
        if state == "ready":
            self.row.note = ""
        if before != (self.row.state, self.row.pid, self.row.ops_url, self.row.restarts, self.row.note):
            self._changed()


def _last_line(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].removeprefix("ovation: ") if lines else ""
    return ""
