"""What a worker waits for, said once: a line when it begins, one when it is over, a reminder in between; a metric always.

Causes change from try to try (a disk's free bytes, which node refused), so that a line for each change would be one for
each try. `tell` has the newest.
"""

from collections.abc import Callable

from infra.clock import Clock
from infra.telemetry import logs, metrics

log = logs.get(__name__)

STARTING = "starting"
#: Seconds after which a wait that goes on is said again, with what is the cause by then.
REMIND_S = 600.0
#: Seconds of success before a wait counts as over: a store that takes every other batch is one outage, not hundreds.
CALM_S = 5.0
#: Causes name what has to be done about themselves.
NEXT = "it goes on by itself once the cause is gone; the log keeps what waits: docs/operating.md, When the store is away"


class Waiting:
    """One worker's."""

    def __init__(self, log_name: str, tell: Callable[[str], None], clock: Clock) -> None:
        """*tell* is told the cause whenever it changes, and "" when there is none any more."""
        self._log_name = log_name
        self._tell = tell
        self._clock = clock
        self._cause = self._last = STARTING
        self._began = self._said = 0.0
        self._tries = 0
        self._well_since: float | None = None

    def on(self, cause: str) -> None:
        """A try has ended with *cause*."""
        now = self._clock.monotonic()
        self._tries += 1
        self._well_since = None
        metrics.WORKER_WAITING.labels(self._log_name).set(1)
        metrics.WORKER_RETRIES.labels(self._log_name).inc()
        if self._tries == 1:
            self._began = self._said = now
            log.warning("waiting", log=self._log_name, cause=cause, next=NEXT)
        elif now - self._said >= REMIND_S:
            self._said = now
            log.warning("still waiting", log=self._log_name, cause=cause, **self._so_far(now), next=NEXT)
        if cause != self._cause:
            self._cause = cause
            self._tell(cause)

    def over(self, calm_s: float = CALM_S) -> None:
        """A try has succeeded; the wait is over after *calm_s* without another failure."""
        if self._cause:
            self._last, self._cause = self._cause, ""
            metrics.WORKER_WAITING.labels(self._log_name).set(0)
            self._tell("")
        if not self._tries:
            return
        now = self._clock.monotonic()
        if self._well_since is None:
            self._well_since = now
        if now - self._well_since >= calm_s:
            log.info("going on", log=self._log_name, after=self._last, **self._so_far(self._well_since))
            self._tries = 0

    def _so_far(self, now: float) -> dict[str, float]:
        return {"seconds": round(now - self._began, 1), "tries": self._tries}
