"""Whether something was posted under a key before, when that may be longer ago than the log itself remembers keys.

The log knows keys for five minutes, the store for as long as it keeps comments, so the store is asked before each post with
a key. A key that tells when it was made (a UUID of version 7) and is younger than that needs no store: what was
posted under it the log knows. For those the store is asked only while it answers at once, so that comments go on while it
is away or slow. It is asked at all since the log forgets the keys of messages that were erased from it. For all others the log
is asked what it knows while the store is away: a retry has its answer, and only what may be new is refused.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping

from gateway.gathered import Gathered
from infra.clock import Clock
from infra.errors import Unavailable
from schemas import subjects
from schemas.records import StreamRecord

_UUID7 = re.compile(r"([0-9a-f]{8})-?([0-9a-f]{4})-?7[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}", re.IGNORECASE)
#: How old such a key may be, and how far ahead of ours its maker's clock: together less than the log's five minutes.
YOUNG_MS, AHEAD_MS = 4 * 60_000, 30_000
#: How long the store is waited for, and how far apart are the looks whether it is back after that was in vain.
ANSWERS_S = 0.25
LEFT_ALONE_S = 1.0


def made_at_ms(key: str) -> int | None:
    """When a key was made, as it says itself; `None` for one that does not say."""
    found = _UUID7.fullmatch(key)
    return int(found[1] + found[2], 16) if found else None


class Earlier:
    """Answers for one gateway."""

    def __init__(
        self,
        find: Callable[[StreamRecord, str], Awaitable[int | None]],
        stored: Callable[[list[tuple[str, str]]], Awaitable[Mapping[tuple[str, str], int]]],
        logged: Callable[[str, str], Awaitable[int | None]],
        clock: Clock,
    ) -> None:
        """*find* asks the store and what waits for the archive; *stored* the store alone (stream ids and Msg-Ids).

        *logged* asks the log (a subject) what it remembers of minutes.
        """
        self._find = find
        self._stored = stored
        self._logged = logged
        self._clock = clock
        self._young = Gathered(self._at_once)
        self._failing = self._looking = False
        self._not_before = 0.0

    def seq(self, record: StreamRecord, msg_id: str, key: str) -> Awaitable[int | None]:
        """Where the comment posted under *key* is; `None` when there is none, or the log still knows it.

        What is returned raises Unavailable when the store does not answer, and the key may be older than what the log knows.
        """
        made = made_at_ms(key)
        if made is None or not -AHEAD_MS <= self._clock.now_ms() - made <= YOUNG_MS:
            return self._certainly(record, msg_id)
        asked = record.stream_id, msg_id
        if not self._failing:
            with contextlib.suppress(Unavailable):
                return self._young.ask(asked)
        elif self._clock.monotonic() >= self._not_before and not self._looking:
            # Whether it is back finds out itself: of twenty comments a second one would wait for it, and its viewers with it.
            self._looking = True
            self._young.ask(asked)
        nothing: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        nothing.set_result(None)
        return nothing

    async def _at_once(self, asked: list[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
        if self._failing and not self._looking:
            # It failed while these waited for their turn.
            return {}
        try:
            async with asyncio.timeout(ANSWERS_S):
                found = await self._stored(asked)
        except (TimeoutError, Unavailable):
            self._failing, self._not_before = True, self._clock.monotonic() + LEFT_ALONE_S
            return {}
        else:
            self._failing = False
            return found
        finally:
            self._looking = False

    async def _certainly(self, record: StreamRecord, msg_id: str) -> int | None:
        try:
            return await self._find(record, msg_id)
        except Unavailable:
            if (seq := await self._logged(subjects.live(record.shard, record.stream_id), msg_id)) is None:
                raise
            return seq
