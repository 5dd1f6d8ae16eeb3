"""One child process. It never outlives its parent: the kernel kills it when the parent's thread ends."""

import asyncio
import contextlib
import ctypes
import functools
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ovation.retold import Retold

PR_SET_PDEATHSIG = 1
#: A child's log file is turned over above this; one older file is kept.
MAX_LOG = 10 * 1024 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int) -> None:
    """Run in the child before exec: SIGKILL when *parent* goes, even if it went before this line."""
    # A session of its own: Ctrl-C on the terminal reaches the parent alone, which drains in order.
    os.setsid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Child:
    """A started program and the states it tells on its ready socket."""

    def __init__(
        self, name: str, log: Path, on_state: Callable[[str, str], None], *, echo: bool = False, retold: Retold | None = None
    ) -> None:
        """*on_state* gets (state, ops url); *echo* also copies the log to our stderr; *retold* puts it into another form."""
        self.name = name
        self._log = log
        self._on_state = on_state
        self._echo = echo
        self._retold = retold
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        if self._process is None or self._process.returncode is not None:
            return None
        return self._process.pid

    async def start(
        self, program: Sequence[str], environment: Mapping[str, str], *, tells: bool, fds: Sequence[int] = ()
    ) -> None:
        """Start *program*; with *tells* it is given `--ready-fd` and speaks for itself.

        Raises:
            OSError: it cannot be started.
        """
        arguments, pass_fds = list(program), list(fds)
        # Not a pipe, whose descriptor uvloop closes twice: the number may be another thread's by then (MagicStack/uvloop#763).
        ours, theirs = socket.socketpair()
        if tells:
            arguments += ["--ready-fd", str(theirs.fileno())]
            pass_fds.append(theirs.fileno())
        try:
            self._process = await asyncio.create_subprocess_exec(
                *arguments,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=pass_fds,
                preexec_fn=functools.partial(die_with, os.getpid()),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._readers = [asyncio.create_task(self._hear(ours))]
        if self._process.stdout is not None:
            self._readers.append(asyncio.create_task(self._keep_log(self._process.stdout)))

    async def wait(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        if self._process is None:
            return 0
        code = await self._process.wait()
        for reader in self._readers:
            # What it printed last is what explains its end.
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(reader, 1.0)
        return code

    def signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            if self._process is not None and self._process.returncode is None:
                self._process.send_signal(number)

    async def _hear(self, ours: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            while line := await reader.readline():
                with contextlib.suppress(ValueError, KeyError):
                    told = json.loads(line)
                    self._on_state(str(told["state"]), str(told["ops_url"]))
        finally:
            writer.close()

    async def _keep_log(self, output: asyncio.StreamReader) -> None:
        self._turn_over()
        file = self._log.open("ab")
        try:
            while chunk := await output.read(65536):
                if self._retold is not None:
                    chunk = self._retold.take(chunk)
                with contextlib.suppress(OSError):
                    # A full disk loses log lines, never the process.
                    file.write(chunk)
                    file.flush()
                if self._echo:
                    sys.stderr.buffer.write(chunk)
                    sys.stderr.buffer.flush()
                if file.tell() > MAX_LOG:
                    file.close()
                    self._turn_over()
                    file = self._log.open("ab")
            if self._retold is not None:
                with contextlib.suppress(OSError):
                    file.write(self._retold.take(b"\n"))
        finally:
            file.close()

    def _turn_over(self) -> None:
        if self._log.exists() and self._log.stat().st_size > MAX_LOG:
            self._log.replace(self._log.with_suffix(".log.1"))
