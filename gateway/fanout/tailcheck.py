"""When the logs are asked for the tails of watched streams: a lost last message announces itself to nobody.

Each log by itself, beside the others and beside whoever ticks: one that does not answer holds up nobody else's.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from gateway.fanout.audience import Audience
from gateway.fanout.logcheck import LogCheck
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.reader import Reader
from infra.telemetry import logs

log = logs.get(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class _Watched:
    """One log: its check, what runs of it, and since which doubt it is known to be whole."""

    def __init__(self, check: LogCheck) -> None:
        self.check = check
        self.running: asyncio.Task[None] | None = None
        self.sure_of = 0
        #: The doubt that the last check to fail was to settle, and why it failed; `None` where it went well.
        self.failed_of = 0
        self.failure: Unavailable | None = None

    @property
    def busy(self) -> bool:
        return self.running is not None and not self.running.done()


class TailCheck:
    """One per gateway; at most one check of a log runs at a time."""

    def __init__(self, reader: Reader, clock: Clock, spawn: Spawn, audiences: Callable[[], Collection[Audience]]) -> None:
        """*audiences* gives those that are open; *spawn* runs work for as long as the gateway lives."""
        self._reader = reader
        self._clock = clock
        self._spawn = spawn
        self._audiences = audiences
        #: By log, of which there are as many as shards.
        self._logs: dict[str, _Watched] = {}
        self._doubts = 0

    def due(self) -> None:
        """Begin what is due now."""
        for name, audiences in self._by_log().items():
            watched = self._logs[name]
            if watched.busy:
                continue
            if watched.check.due or not self.sure(name):
                self._begin(name, audiences, whole=True)
            elif watched.check.young_due:
                self._begin(name, audiences, whole=False)

    def all(self) -> None:
        """Begin to check every stream, anew where a check runs: it may have asked before what is to be known now."""
        for name, audiences in self._by_log().items():
            self._begin(name, audiences, whole=True)

    def doubt(self) -> None:
        """From now on no log is `sure` until all its streams have been checked."""
        self._by_log()
        self._doubts += 1

    def sure(self, name: str) -> bool:
        """Whether all streams of a log were checked since the last doubt, or none were watched then."""
        return name not in self._logs or self._logs[name].sure_of == self._doubts

    async def settle(self, name: str) -> None:
        """Wait until a log is `sure`.

        Raises:
            Unavailable: it does not answer.
        """
        while not self.sure(name):
            watched, doubt = self._logs[name], self._doubts
            running = watched.running
            if running is None or running.done():
                running = self._begin(name, self._by_log().get(name, []), whole=True)
            # Not the task itself: whoever leaves must not end it for the others, nor who begins it anew end these here.
            await asyncio.wait({running})
            if not running.cancelled() and (error := running.exception()) is not None:
                raise error
            if watched.failure is not None and watched.failed_of == doubt:
                raise Unavailable(str(watched.failure)) from watched.failure

    def _by_log(self) -> dict[str, list[Audience]]:
        found: dict[str, list[Audience]] = defaultdict(list)
        for audience in self._audiences():
            found[audience.follower.log].append(audience)
        for name in found:
            if name not in self._logs:
                self._logs[name] = _Watched(LogCheck(name, self._reader, self._clock))
                self._logs[name].sure_of = self._doubts
        return found

    def _begin(self, name: str, audiences: list[Audience], *, whole: bool) -> asyncio.Task[None]:
        watched = self._logs[name]
        if watched.running is not None:
            watched.running.cancel()
        watched.running = running = self._spawn(self._run(name, audiences, whole=whole))
        return running

    async def _run(self, name: str, audiences: list[Audience], *, whole: bool) -> None:
        watched, doubt = self._logs[name], self._doubts
        try:
            await (watched.check.all(audiences) if whole else watched.check.young(audiences))
        except Unavailable as error:
            if watched.failure is None:
                log.warning("tails not checked; tried again", log=name, cause=str(error))
            watched.failure, watched.failed_of = error, doubt
        else:
            watched.failure = None
            if whole:
                watched.sure_of = doubt
