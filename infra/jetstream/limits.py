"""Limits: a log with `max_msgs_per_subject`, discard new and `max_age` *is* an exact sliding window over all gateways.

A token carries the comment's Msg-Id, so a retry of a comment that is posted spends nothing. If the log cannot answer, nobody
passes. A token's time is to be that of what it is spent on: of what is stored over `LIMIT_MARGIN_MS` later it is renewed.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from infra.clock import Clock
from infra.errors import LimitReached, Unavailable
from infra.jetstream.connection import Connection
from infra.jetstream.publisher import Publisher, SubjectFull
from infra.jetstream.reader import LogMessage, Reader
from infra.jetstream.topology import LIMIT_MARGIN_MS
from infra.limit import Limit
from schemas import subjects

T = TypeVar("T")

MARGIN_S = LIMIT_MARGIN_MS / 1000
#: How long after its time a message has left a log: nats-server's timer looks four times a second.
GONE_S = 0.35
#: Later than that, the clocks are not one; until then it is looked for so often, and so many times.
LATE_S, LOOK_S, WAITS = 2.0, 0.25, 3
#: Tokens that earlier tries left behind, one after the other; a limit has fewer.
TRIES = 100
#: How often, and how long apart, one's place is asked for again: others of the same party who renew theirs at the same moment
#: hold two for a moment.
RENEWALS, RENEW_S = 10, 0.05
#: Tokens of one party that are looked at for one's own.
LOOKED_AT = 1000


async def outwait(take: Callable[[], Awaitable[T]]) -> T:
    """What *take* gives: one or more tokens, all of them anew once the one that is lacking is free, where that is about to be.

    Tokens stay a moment longer than their window, which nobody is told: seconds are whole, and never more than the window has.
    So who waited as told is not refused again.

    Raises:
        LimitReached: there is longer to wait.
        Unavailable: as *take* does.
    """
    for _ in range(WAITS):
        try:
            return await take()
        except LimitReached as reached:
            if reached.free_in_s is None:
                raise
            free_in_s = reached.free_in_s
        await asyncio.sleep(free_in_s)
    return await take()


async def _never() -> bool:
    """For what has an id of its own each time."""
    return False


class Limits:
    """Takes tokens."""

    def __init__(self, connection: Connection, publisher: Publisher, reader: Reader, clock: Clock) -> None:
        self._connection = connection
        self._publisher = publisher
        self._reader = reader
        self._clock = clock

    async def take(
        self, name: str, limit: Limit, keys: tuple[str, ...], msg_id: str, done: Callable[[], Awaitable[bool]] = _never
    ) -> int:
        """Take one token of the limit *name* for the party *keys*, once for what is done under *msg_id*; its seq.

        *done* tells whether it has been done already; then the token it has counts. A token that an earlier try left behind
        without doing anything does not: it would leave the window while what is done now is still in it. Another one takes
        its place.

        Raises:
            LimitReached: the window is full; says after how many whole seconds the oldest token leaves it.
            Unavailable: the limiter cannot answer.
        """
        subject = subjects.limit(name, *keys)
        try:
            ack = await self._publisher.publish(subject, b"", msg_id)
            if ack.duplicate:
                # Somebody tries again: the same publish a second time, where it is looked at.
                return await self._token(name, subject, msg_id, {}, done)
        except SubjectFull:
            raise await self._reached(name, subject, limit.seconds, MARGIN_S) from None
        return ack.seq

    async def hold(
        self, name: str, seconds: int, keys: tuple[str, ...], msg_id: str, done: Callable[[], Awaitable[bool]] = _never
    ) -> int:
        """Take the only token of *keys* for *seconds*: slow mode, whose length each stream sets itself. Else as `take`.

        Raises:
            LimitReached: it is held.
            Unavailable: the limiter cannot answer.
        """
        subject = subjects.limit(name, *keys)
        try:
            return await self._token(name, subject, msg_id, {"Nats-TTL": f"{seconds}s"}, done)
        except SubjectFull:
            raise await self._reached(name, subject, seconds, 0) from None

    async def _token(
        self, name: str, subject: str, msg_id: str, headers: dict[str, str], done: Callable[[], Awaitable[bool]]
    ) -> int:
        token, left = msg_id, 0
        for _ in range(TRIES):
            try:
                ack = await self._publisher.publish(subject, b"", token, headers)
            except SubjectFull:
                if not left:
                    raise
                # Nobody is refused for a token of their own.
                await self._give_up(name, left)
                left = 0
                continue
            if not ack.duplicate or await self._fresh(name, ack.seq) or await done():
                if left and left != ack.seq:
                    await self._give_up(name, left)
                return ack.seq
            # Every gateway that comes by here at the same time takes the same one.
            token, left = f"{msg_id}:{ack.seq}", ack.seq
        msg = f"the limit {name} was asked for the same {TRIES} times without anything coming of it"
        raise Unavailable(msg, retry_after=1)

    async def renew(
        self, name: str, seconds: int, keys: tuple[str, ...], msg_id: str, at_ms: int, *, seq: int = 0, held: bool = False
    ) -> bool:
        """Have what was stored at *at_ms* under *msg_id* counted from then on, where its token was taken too long before.

        The new token comes before the old one goes; where the window is full, in its place. *seq* is the token's, where it is
        known: then nothing else is looked at as long as it was taken in time. *held*: as `hold` took it. False
        when somebody took that place first, or the old one had left its window and there is no room: one more is in it then.

        Raises:
            Unavailable: the limiter cannot answer.
        """
        subject = subjects.limit(name, *keys)
        taken = await self._reader.at(subjects.limit_log(name), seq) if seq else None
        if taken is not None and taken.at_ms + LIMIT_MARGIN_MS >= at_ms:
            return True
        own = [token for token in await self._of(name, subject) if _id_of(token) == msg_id]
        if own and own[-1].at_ms + LIMIT_MARGIN_MS >= at_ms:
            return True
        headers = {"Nats-TTL": f"{seconds}s"} if held else {}
        token = f"{msg_id}:{own[-1].seq if own else 'late'}"
        for left in range(RENEWALS, 0, -1):
            try:
                await self._publisher.publish(subject, b"", token, headers)
            except SubjectFull:
                if left == 1 or not own:
                    return False
            else:
                await self._give_up(name, *(old.seq for old in own))
                break
            if left == RENEWALS:
                await self._give_up(name, *(old.seq for old in own))
            else:
                await asyncio.sleep(RENEW_S)
        return True

    async def _of(self, name: str, subject: str) -> Sequence[LogMessage]:
        return await self._reader.follow_from(subjects.limit_log(name), subject, 0, LOOKED_AT)

    async def _give_up(self, name: str, *seqs: int) -> None:
        """Let tokens go; one that has gone already is as good."""
        for seq in seqs:
            # Overwriting what holds nothing would cost the log a rewritten block.
            body = msgspec.json.encode({"seq": seq, "no_erase": True})
            await self._connection.request(f"$JS.API.STREAM.MSG.DELETE.{subjects.limit_log(name)}", body)

    async def _fresh(self, name: str, seq: int) -> bool:
        """Whether a token was taken just now, by this very try or one at the same time on another gateway."""
        taken = await self._reader.at(subjects.limit_log(name), seq)
        return taken is not None and self._clock.now_ms() - taken.at_ms <= LIMIT_MARGIN_MS

    async def held_by(self, name: str, keys: tuple[str, ...]) -> str | None:
        """The id for which the only token of *keys* is held; `None` while it is free. Spends nothing.

        Raises:
            Unavailable: the limiter cannot answer.
        """
        token = await self._reader.last(subjects.limit_log(name), subjects.limit(name, *keys))
        return _id_of(token) if token is not None else None

    async def _reached(self, name: str, subject: str, seconds: int, margin_s: float) -> LimitReached:
        oldest = await self._reader.first_after(subjects.limit_log(name), subject, 0)
        if oldest is None:
            return LimitReached(name, 1, free_in_s=0)
        left = oldest.at_ms / 1000 + seconds - self._clock.now_ms() / 1000
        if left > 0:
            return LimitReached(name, min(math.ceil(left), seconds))
        return LimitReached(name, 1, free_in_s=max(left + margin_s + GONE_S, LOOK_S) if left > -LATE_S else None)


def _id_of(token: LogMessage) -> str:
    """What it was taken for, by whichever try."""
    return (token.msg_id or "").partition(":")[0]
