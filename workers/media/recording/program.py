"""One short ffmpeg: started below everything else's priority, ended when it takes too long, never alive without us."""

import asyncio
import contextlib
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path

from workers.media.ffmpeg import FfmpegFailed, leash

#: Recordings can wait: encoders, viewers and transcoders come first.
NICENESS = 15


async def ffmpeg(program: Path, arguments: Sequence[str], *, limit_s: float, given: bytes = b"") -> bytes:
    """Run *program* with *arguments*, *given* on its standard input; what it wrote to standard output.

    Raises:
        FfmpegFailed: there is none, it failed, or it was not done within *limit_s*.
    """
    command = (str(program), "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", "-y", *arguments)
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE if given else DEVNULL, stdout=PIPE, stderr=PIPE, preexec_fn=leash(os.getpid(), NICENESS)
        )
    except OSError as error:
        msg = f"cannot run {program}: {error}; install it or set OVATION_FFMPEG"
        raise FfmpegFailed(msg) from error
    try:
        async with asyncio.timeout(limit_s):
            out, errors = await _communicate(process, given)
    except TimeoutError as error:
        msg = f"ffmpeg was not done within {limit_s:.0f} s"
        raise FfmpegFailed(msg) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        # What it started may hold the pipes for longer than itself.
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio's process has no other way to say so
    if process.returncode:
        words = errors.decode("utf-8", "replace").strip().splitlines()[-4:]
        msg = f"ffmpeg ended with {process.returncode}: {'; '.join(word[:300] for word in words)}"
        raise FfmpegFailed(msg)
    return out


async def _communicate(process: Process, given: bytes) -> tuple[bytes, bytes]:
    """What it says, when it has ended; one that ends before it has taken what it was *given* has failed by its status alone.

    The process's own `communicate` raises `RuntimeError` then, on uvloop, where asyncio's loop has a broken pipe.
    """
    out, errors, _ = await asyncio.gather(_said(process.stdout), _said(process.stderr), _feed(process.stdin, given))
    await process.wait()
    return out, errors


async def _said(pipe: asyncio.StreamReader | None) -> bytes:
    return b"" if pipe is None else await pipe.read()


async def _feed(stdin: asyncio.StreamWriter | None, given: bytes) -> None:
    if stdin is None:
        return
    with contextlib.suppress(ConnectionError, RuntimeError):
        stdin.write(given)
        await stdin.drain()
    stdin.close()
