"""One thread that writes what is recorded: the live path hands over and goes on, whatever the disk does.

Jobs are done in order. Each stream bounds what it has waiting here (`recorder.QUEUE_BYTES`).
"""

import queue
import threading
from collections.abc import Callable

from infra.telemetry import logs


class Pen:
    """Started by `start`; `close` does what waits first."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # Not waited for at exit: a disk that hangs must not hold the process.
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._log = logs.get(__name__)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, job: Callable[[], None]) -> None:
        """Do *job* after those before it; returns at once. It raises nothing but `OSError`, which is logged."""
        self._jobs.put(job)

    def close(self, timeout_s: float) -> None:
        """Do what waits, and end. Blocks up to *timeout_s*."""
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except OSError as error:
                self._log.error("the spool cannot be written", error=str(error))
