"""Limits: a log with `max_msgs_per_subject`, discard new and `max_age` *is* an exact sliding window over all gateways.

A token carries the comment's Msg-Id, so a retry spends nothing. If the log cannot answer, nobody passes.
"""

import math

from infra.clock import Clock
from infra.errors import LimitReached
from infra.jetstream.publisher import Publisher, SubjectFull
from infra.jetstream.reader import Reader
from infra.settings import Limit
from schemas import subjects


class Limits:
    """Takes tokens."""

    def __init__(self, publisher: Publisher, reader: Reader, clock: Clock) -> None:
        self._publisher = publisher
        self._reader = reader
        self._clock = clock

    async def take(self, name: str, limit: Limit, keys: tuple[str, ...], msg_id: str) -> None:
        """Take one token of the limit *name* for the party *keys*, once per *msg_id*.

        Raises:
            LimitReached: the window is full; says after how many whole seconds the oldest token leaves it.
            Unavailable: the limiter cannot answer.
        """
        subject = subjects.limit(name, *keys)
        try:
            await self._publisher.publish(subject, b"", msg_id)
        except SubjectFull:
            raise LimitReached(name, await self._wait(name, subject, limit.seconds)) from None

    async def hold(self, name: str, seconds: int, keys: tuple[str, ...], msg_id: str) -> None:
        """Take the only token of *keys* for *seconds*: slow mode, whose length each stream sets itself.

        Raises:
            LimitReached: it is held.
            Unavailable: the limiter cannot answer.
        """
        subject = subjects.limit(name, *keys)
        try:
            await self._publisher.publish(subject, b"", msg_id, {"Nats-TTL": f"{seconds}s"})
        except SubjectFull:
            raise LimitReached(name, await self._wait(name, subject, seconds)) from None

    async def held_by(self, name: str, keys: tuple[str, ...]) -> str | None:
        """The Msg-Id under which the only token of *keys* is held; `None` while it is free. Spends nothing.

        Raises:
            Unavailable: the limiter cannot answer.
        """
        token = await self._reader.last(subjects.limit_log(name), subjects.limit(name, *keys))
        return token.msg_id if token is not None else None

    async def _wait(self, name: str, subject: str, seconds: int) -> int:
        oldest = await self._reader.first_after(subjects.limit_log(name), subject, 0)
        if oldest is None:
            return 1
        left = oldest.at_ms / 1000 + seconds - self._clock.now_ms() / 1000
        return min(max(math.ceil(left), 1), seconds)
