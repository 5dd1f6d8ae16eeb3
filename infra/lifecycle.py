"""One process's life: it starts, says when it is ready, drains on SIGTERM and ends at once on a second one."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from infra.errors import BadSettings, OvationError, StoreTooNew
from infra.settings import Settings
from infra.telemetry import logs
from infra.telemetry.ops import OpsServer, Readiness

log = logs.get(__name__)

EXIT_FAILED = 1
EXIT_SETTINGS = 2


class Lifecycle:
    """What a composition root is given: when to stop, and how to say how it is."""

    def __init__(self, name: str, settings: Settings, ready_fd: int | None = None) -> None:
        """*ready_fd*, if any, takes JSON lines `{"state", "ops_url"}` for the parent."""
        self.name = name
        self.stopping = asyncio.Event()
        self.readiness = Readiness()
        self.ops = OpsServer(self.readiness, settings.ops_host, settings.ops_port)
        self._ready_fd = ready_fd
        self._state = ""

    @property
    def started(self) -> bool:
        """Whether it was ready or degraded: before that it may wait for a broker that never comes."""
        return self._state not in ("", "starting")

    def report(self, state: str) -> None:
        """Tell the parent: starting, ready, degraded or stopped. Said once per change."""
        if state == self._state:
            return
        self._state = state
        log.info("state", state=state)
        if self._ready_fd is not None:
            line = json.dumps({"state": state, "ops_url": self.ops.url}).encode() + b"\n"
            try:
                os.write(self._ready_fd, line)
            except OSError:
                # The parent is gone; so are we, in a moment.
                self._ready_fd = None

    def update(self) -> None:
        """Report ready or degraded by the readiness conditions."""
        if not self.stopping.is_set():
            self.report("ready" if self.readiness.ready else "degraded")

    def stop(self) -> None:
        """Begin to stop; called by the first SIGTERM or SIGINT."""
        if self.stopping.is_set():
            # The second one: somebody wants it gone now.
            os._exit(EXIT_FAILED)
        self.readiness.expect("running", "stopping")
        self.stopping.set()

    def fail(self, cause: str) -> None:
        """Stop because something this process cannot do without is gone for good."""
        log.error("giving up", cause=cause)
        if not self.stopping.is_set():
            self.stop()


def run_process(
    name: str, settings: Settings, main: Callable[[Lifecycle], Awaitable[None]], ready_fd: int | None = None
) -> int:
    """Run *main* to its end on uvloop, with logs, the internal port and signals set up; the exit code.

    Bad settings end with 2 and one line that names the variable; anything unexpected with 1 and a logged traceback.
    """
    logs.configure(level=settings.log_level, form=settings.log_format, process=name)
    try:
        return uvloop.run(_run(name, settings, main, ready_fd))
    except (BadSettings, StoreTooNew) as error:
        sys.stderr.write(f"ovation: {error}\n")
        return EXIT_SETTINGS
    except OvationError as error:
        sys.stderr.write(f"ovation: {error}\n")
        return EXIT_FAILED
    except Exception:
        log.exception("crashed")
        return EXIT_FAILED


async def _run(name: str, settings: Settings, main: Callable[[Lifecycle], Awaitable[None]], ready_fd: int | None) -> int:
    lifecycle = Lifecycle(name, settings, ready_fd)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lifecycle.stop)
    await lifecycle.ops.start()
    lifecycle.report("starting")
    try:
        await _until_stopped(asyncio.ensure_future(main(lifecycle)), lifecycle)
    finally:
        lifecycle.report("stopped")
        await lifecycle.ops.stop()
    return 0


async def _until_stopped(running: asyncio.Future[None], lifecycle: Lifecycle) -> None:
    """Wait for the end of *running*, which drains by itself once it has started; before that there is nothing to drain."""
    stopping = asyncio.create_task(lifecycle.stopping.wait())
    both: set[asyncio.Future[Any]] = {running, stopping}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done() and not lifecycle.started:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        return
    await running
