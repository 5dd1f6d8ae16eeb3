"""What the log says of a cluster's nodes: one line when one goes and one when it comes back.

The driver itself says it several times a second and connection for as long as a node is away, with tracebacks; what it
says in the same words is passed on once a minute.
"""

import logging
import time
from collections.abc import Callable

from cassandra.policies import HostStateListener
from cassandra.pool import Host

from infra.telemetry import logs

log = logs.get(__name__)

#: The driver's loggers that speak of connections and nodes.
LOGGERS = ("cassandra.cluster", "cassandra.connection", "cassandra.pool", "cassandra.io.libevreactor", "cassandra.policies")
AGAIN_S = 60.0
#: Sentences that are remembered; more than the driver has.
SENTENCES = 256


class Notices(HostStateListener):  # type: ignore[misc]  # the driver has no types
    """Of one cluster."""

    def __init__(self, store: str) -> None:
        """*store* is what the lines call it."""
        self._store = store

    def on_up(self, host: Host) -> None:
        """A node answers again."""
        log.info("store node is back", store=self._store, node=host.address)

    def on_down(self, host: Host) -> None:
        """A node does not answer any more."""
        log.warning("store node is away", store=self._store, node=host.address)

    def on_add(self, host: Host) -> None:
        """A node is known: the first time, or as a new one of the cluster."""

    def on_remove(self, host: Host) -> None:
        """A node has left the cluster for good."""
        log.info("store node has left", store=self._store, node=host.address)


class OnceAMinute(logging.Filter):
    """Lets each sentence of the driver through once a minute, and then says how often it was said, without its traceback."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """*clock* in seconds."""
        super().__init__()
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether *record* is passed on."""
        record.exc_info, record.exc_text = None, None
        sentence, now = str(record.msg), self._clock()
        since, times = self._said.get(sentence, (-AGAIN_S, 0))
        if now - since < AGAIN_S:
            self._said[sentence] = since, times + 1
            return False
        if len(self._said) >= SENTENCES:
            self._said.clear()
        self._said[sentence] = now, 0
        if times:
            record.msg = f"{record.getMessage()} (and {times} times since)"
            record.args = ()
        return True


_FILTER = OnceAMinute()


def quieten() -> None:
    """Have the driver's loggers repeat themselves no more; again and again changes nothing."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
