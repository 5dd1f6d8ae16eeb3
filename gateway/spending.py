"""What a comment spends: a token of each limit that is its author's, the narrowest first.

A window is counted by when tokens were taken, and is to be exact by when comments are stored. In between the broker may change
its leader for seconds; the tokens of what is stored that late are renewed before the answer is given.
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from gateway import access
from gateway.app import Deps
from gateway.auth import Principal
from gateway.problems import Problem
from gateway.standing import LIMITS, standing
from infra.errors import LimitReached, Unavailable
from infra.jetstream.limits import MARGIN_S
from infra.limit import Limit
from infra.telemetry import logs, metrics
from schemas.records import StreamRecord

log = logs.get(__name__)


class Window(Struct, frozen=True):
    """A limit of one party. *held*: slow mode, whose one token the stream gives its own time."""

    name: str
    limit: Limit
    keys: tuple[str, ...]
    held: bool = False


class Spending:
    """Of one post, by one try."""

    __slots__ = ("_began", "_deps", "_msg_id", "_record", "_tokens", "_who")

    def __init__(self, deps: Deps, who: Principal, record: StreamRecord, msg_id: str) -> None:
        self._deps = deps
        self._who = who
        self._record = record
        self._msg_id = msg_id
        self._began = deps.clock.monotonic()
        #: By limit, the seq of the token that was taken.
        self._tokens: dict[str, int] = {}

    async def spend(self, said: str, done: Callable[[], Awaitable[bool]]) -> None:
        """Take the tokens one after the other: a refusal spends nothing of the wider limits. *done*: as `Limits.take` has it.

        Raises:
            LimitReached: says which, and for how long.
            Problem: DUPLICATE, when the same was just said.
            Unavailable: a limiter cannot answer; nobody passes then.
        """
        deps, record, who, msg_id = self._deps, self._record, self._who, self._msg_id
        limits, duplicate_s = deps.limits, deps.settings.duplicate_s
        just_said = (record.stream_id, who.id, said) if duplicate_s and not access.may_moderate(who, record) else None
        if just_said and await limits.held_by("duplicate", just_said) not in (None, msg_id):
            raise _duplicate(duplicate_s)
        self._began = deps.clock.monotonic()
        for window in self._windows():
            if window.held:
                token = await limits.hold(window.name, window.limit.seconds, window.keys, msg_id, done)
            else:
                token = await limits.take(window.name, window.limit, window.keys, msg_id, done)
            self._tokens[window.name] = token
        if just_said:
            # Last, so that a post which another limit refuses may be tried again; looked at first, so that a duplicate is free.
            try:
                await limits.hold("duplicate", duplicate_s, just_said, msg_id, done)
            except LimitReached:
                raise _duplicate(duplicate_s) from None

    @property
    def late(self) -> bool:
        """Whether what was stored by now may have been so later than tokens allow for."""
        return self._deps.clock.monotonic() - self._began > MARGIN_S

    async def stored(self, at_ms: int) -> None:
        """See that what was stored at *at_ms* is counted from then on, in every window that has not passed since.

        It is stored whatever comes of this, so a limiter that does not answer now refuses nobody.
        """
        passed_s = (self._deps.clock.now_ms() - at_ms) / 1000
        for window in self._windows():
            if passed_s >= window.limit.seconds:
                continue
            seconds, seq = window.limit.seconds, self._tokens.get(window.name, 0)
            try:
                counted = await self._deps.limits.renew(
                    window.name, seconds, window.keys, self._msg_id, at_ms, seq=seq, held=window.held
                )
            except Unavailable as error:
                counted = False
                log.warning("a late comment's token was not renewed", limit=window.name, cause=str(error))
            if not counted:
                metrics.UNCOUNTED.labels(window.name).inc()

    def _windows(self) -> list[Window]:
        settings, record, who = self._deps.settings, self._record, self._who
        tier = standing(who, self._deps.clock.now_ms(), settings.new_account_h)
        found = [
            Window(LIMITS[tier], settings.limit_of(tier), (record.stream_id, who.id)),
            Window("user", settings.limit_user, (who.id,)),
        ]
        slow = record.settings.slow_mode_s
        if slow and not access.may_moderate(who, record):
            found.insert(0, Window("slow", Limit(1, slow), (record.stream_id, who.id), held=True))
        return found


def _duplicate(seconds: int) -> Problem:
    return Problem("DUPLICATE", f"You said the same here less than {seconds} s ago.", field="text")
