"""One ffmpeg process: FLV in, FLV out on a socket per rendition, never in the way of the encoder and never alive without us."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Callable, Sequence

from infra.telemetry import metrics

#: Bytes waiting for ffmpeg. 8 MB are 16 s of a 4 Mbit/s stream; past it ffmpeg hangs and is started anew.
MAX_QUEUED = 8 * 1024 * 1024
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class FfmpegFailed(Exception):
    """ffmpeg ended without being told to, or could not be started. The text has its last words."""


class _Output(asyncio.Protocol):
    """What one rendition comes by."""

    def __init__(self, take: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._take = take
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the process says why
        self._ended()


class Ffmpeg:
    """Written to at once, started by `run`: what comes before waits in the queue."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._early: list[bytes] = []
        self._queued = 0
        self._input_ended = False
        self._words: deque[str] = deque(maxlen=8)
        self._reason = ""

    @property
    def pid(self) -> int | None:
        """The process, once started."""
        return self._process.pid if self._process else None

    @property
    def queued(self) -> int:
        """Bytes that wait for it."""
        if self._process is None:
            return self._queued
        return self._process.stdin.transport.get_write_buffer_size() if self._process.stdin is not None else 0

    async def run(
        self, command: Callable[[Sequence[int]], Sequence[str]], takers: Sequence[Callable[[bytes], None]], niceness: int = 0
    ) -> None:
        """Run *command*, which is told one descriptor per taker to write to, until it ends after `end_input`.

        Raises:
            FfmpegFailed: there is no such program, or it ended in any other way.
        """
        # Sockets and not pipes: uvloop closes a pipe's descriptor twice, and between the two the number may be another
        # thread's. A segment's file was closed that way while it was written (MagicStack/uvloop#763).
        pairs = [socket.socketpair() for _ in takers]
        try:
            inward = [there.fileno() for _, there in pairs]
            await self._start(command(inward), inward, niceness)
        except BaseException:
            for here, _ in pairs:
                here.close()
            raise
        finally:
            for _, there in pairs:
                there.close()
        ended = [asyncio.get_running_loop().create_future() for _ in takers]
        for (here, _), take, end in zip(pairs, takers, ended, strict=True):
            await self._listen_to(here, take, end)
        await self._finish(ended)

    async def _start(self, command: Sequence[str], descriptors: Sequence[int], niceness: int) -> None:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=DEVNULL,
                stderr=PIPE,
                pass_fds=tuple(descriptors),
                preexec_fn=leash(os.getpid(), niceness),
            )
        except OSError as error:
            msg = f"cannot run {command[0]}: {error}; install it or set OVATION_FFMPEG"
            raise FfmpegFailed(msg) from error
        early, self._early = self._early, []
        for data in early:
            self._send(data)
        if self._reason:
            self.kill(self._reason)
        if self._input_ended:
            self._close_input()

    async def _listen_to(self, here: socket.socket, take: Callable[[bytes], None], end: "asyncio.Future[None]") -> None:
        def guarded(data: bytes) -> None:
            try:
                take(data)
            except ValueError as error:
                self.kill(str(error))

        def ended() -> None:
            if not end.done():
                end.set_result(None)

        await asyncio.get_running_loop().connect_accepted_socket(lambda: _Output(guarded, ended), here)

    async def _finish(self, ended: "Sequence[asyncio.Future[None]]") -> None:
        process = self._process
        if process is None or process.stderr is None:
            return
        listening = asyncio.create_task(self._listen(process.stderr))
        try:
            code = await process.wait()
            await asyncio.gather(listening, *ended)
        finally:
            listening.cancel()
            self.kill("")
        if code or self._reason or not self._input_ended:
            words = "; ".join(self._words)
            msg = f"ffmpeg ended with {code}" + "".join(f": {text}" for text in (self._reason, words) if text)
            raise FfmpegFailed(msg)

    def write(self, data: bytes) -> None:
        """Queue *data*; never blocks. A full queue kills the process, which `run` then reports."""
        if self._process is not None:
            self._send(data)
            return
        self._queued += len(data)
        if self._queued > MAX_QUEUED:
            metrics.MEDIA_DROPS.labels("ffmpeg").inc(not self._reason)
            self._reason = self._reason or "it was not started in time"
            return
        self._early.append(data)

    def _send(self, data: bytes) -> None:
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None or process.stdin.is_closing():
            return
        if process.stdin.transport.get_write_buffer_size() + len(data) > MAX_QUEUED:
            metrics.MEDIA_DROPS.labels("ffmpeg").inc(not self._reason)
            self.kill(f"it left {MAX_QUEUED} bytes unread")
            return
        process.stdin.write(data)

    def end_input(self) -> None:
        """Let it finish what it has and exit."""
        self._input_ended = True
        self._close_input()

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self, reason: str) -> None:
        """End it at once; `run` raises with *reason*."""
        self._reason = self._reason or reason
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        # Read in pieces and not by line: a line without an end would raise and fill the pipe.
        while data := await stderr.read(4096):
            self._words.extend(line[:300] for line in data.decode("utf-8", "replace").splitlines() if line)


def leash(parent: int, niceness: int) -> Callable[[], None]:
    """What the child does before ffmpeg runs: the kernel kills it when we die, however we die."""

    def before() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.nice(niceness)

    return before
