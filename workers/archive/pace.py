"""How fast a store takes what the archive has; when that is too slow, and over again, it is said, although nothing fails.

A store that answers late takes everything, only later and later: nothing is waited for that `workers.waiting` could tell of,
and the log's own alarm comes after hours. With answers 2 s late, at 20 comments/s, what waited was three minutes old after ten.
"""

from collections import deque

from infra.clock import Clock
from infra.telemetry import logs, metrics
from workers.archive.lag import Lag

log = logs.get(__name__)

#: From this age of the oldest message that waits on, the archive is behind: history comes from the log for so long.
BEHIND_S = 30.0
#: From this mean duration of a batch on, the store is slow: one of 500 takes a file 20 ms.
SLOW_S = 1.0
#: Batches whose durations make the mean.
BATCHES = 5
#: Seconds that either lasts before it is said: an outage leaves a backlog, which mostly drains in less.
LASTS_S = 10.0
#: It is over at this part of the bounds, so that trembling about them is one time.
ENDS_AT = 0.8
#: Seconds between two lines while it lasts.
REMIND_S = 300.0
NEXT = (
    "see what makes the store slow, or start more archives on a cluster; nothing is lost while the log keeps what waits: "
    "docs/operating.md, When the store is away"
)


class Pace:
    """One live log's archive."""

    def __init__(self, log_name: str, store: str, clock: Clock) -> None:
        """*store* is what people call it; never with a password."""
        self._log_name = log_name
        self._store = store
        self._clock = clock
        self._durations: deque[float] = deque(maxlen=BATCHES)
        self._under_way: float | None = None
        #: Whether the last batch was not taken: then `workers.waiting` tells, and why.
        self._failed = False
        self._archived = 0
        self._since: float | None = None
        self._began: float | None = None
        self._said, self._archived_then, self._archived_said = 0.0, 0, 0

    def begin(self) -> None:
        """A batch is written from now on."""
        self._under_way = self._clock.monotonic()

    def end(self, items: int) -> None:
        """It is committed, with so many items."""
        if self._under_way is not None:
            self._durations.append(self._clock.monotonic() - self._under_way)
        self._under_way, self._failed = None, False
        self._archived += items

    def fail(self) -> None:
        """It was not taken; it will come again."""
        self._under_way, self._failed = None, True

    def learn(self, lag: Lag) -> None:
        """Say what is due, with what waits by now; called every few seconds."""
        now, seconds = self._clock.monotonic(), self._seconds()
        part = 1.0 if self._began is None else ENDS_AT
        behind = lag.seconds >= BEHIND_S * part or (lag.messages > 0 and seconds >= SLOW_S * part)
        if not behind:
            self._since = None
            if self._began is not None:
                log.info("archive has caught up", seconds=round(now - self._began, 1),
                         archived=self._archived - self._archived_then, **self._facts(lag, seconds))  # fmt: skip
                self._began = None
        elif self._failed:
            self._since = None
        elif self._since is None:
            self._since = now
        if self._began is None and self._since is not None and now - self._since >= LASTS_S:
            self._began = self._said = now
            self._archived_then = self._archived_said = self._archived
            log.warning("archive falls behind", **self._facts(lag, seconds), next=NEXT)
        elif self._began is not None and not self._failed and now - self._said >= REMIND_S:
            rate = (self._archived - self._archived_said) / (now - self._said)
            self._said, self._archived_said = now, self._archived
            log.warning("archive is still behind", seconds=round(now - self._began, 1), items_per_second=round(rate, 1),
                        archived=self._archived - self._archived_then, **self._facts(lag, seconds), next=NEXT)  # fmt: skip
        metrics.ARCHIVE_SLOW.labels(self._log_name).set(int(self._began is not None))

    def _facts(self, lag: Lag, seconds: float) -> dict[str, object]:
        return {
            "log": self._log_name,
            "store": self._store,
            "seconds_per_batch": round(seconds, 2),
            "messages": lag.messages,
            "oldest_s": round(lag.seconds, 1),
        }

    def _seconds(self) -> float:
        """The mean of the last batches, or how long one has taken that is under way for longer."""
        mean = sum(self._durations) / len(self._durations) if self._durations else 0.0
        return mean if self._under_way is None else max(mean, self._clock.monotonic() - self._under_way)
