"""Keys that the log is about to forget and the store does not know yet: those of an archive that is long away.

Every post with a key asks, so nothing here is read for one of them alone: whether the archive is late, and if it is which
keys wait for it, is read for all of them together, once in a while.
"""

import asyncio
from collections import OrderedDict

from msgspec import Struct

from gateway.unarchived import STREAMS, Unarchived
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.reader import Reader
from infra.stores import CommentStore
from schemas import subjects
from schemas.records import StreamRecord

#: The log knows a key for 5 minutes, the store from when it is archived on. Past this, what lies between the two is searched.
LATE_S = 120.0
#: How old an answer may be; with `LATE_S` still less than the 5 minutes.
LOOK_S = 10.0


class _Look(Struct):
    """Whether the archive of a log is late, as seen at a time (monotonic)."""

    at: float
    task: asyncio.Task[bool]


class _Keys(Struct):
    """Where each key of a stream's unarchived comments is, as read at a time (monotonic)."""

    at: float
    task: asyncio.Task[dict[str, int]]


class LateKeys:
    """Answers for one gateway."""

    def __init__(self, store: CommentStore, reader: Reader, clock: Clock, unarchived: Unarchived) -> None:
        self._store = store
        self._reader = reader
        self._clock = clock
        self._unarchived = unarchived
        self._looks: dict[str, _Look] = {}
        self._keys: OrderedDict[str, _Keys] = OrderedDict()

    async def find(self, record: StreamRecord, msg_id: str) -> int | None:
        """Where the comment posted under *msg_id* is, if that is so long ago that the log may have forgotten the key.

        Raises:
            Unavailable: the store does not answer.
        """
        log, now = subjects.live_log(record.shard), self._clock.monotonic()
        look = self._looks.get(log)
        if look is None or now - look.at >= LOOK_S:
            former = look.task if look is not None and look.task.done() else None
            look = self._looks[log] = _Look(
                now, asyncio.create_task(self._look(log, late=former is not None and former.result()))
            )
        # Shielded: whoever leaves must not end it for the others.
        late = look.task.result() if look.task.done() else await asyncio.shield(look.task)
        return (await self._read(record, now)).get(msg_id) if late else None

    async def _look(self, log: str, *, late: bool) -> bool:
        """Whether something waits to be archived for `LATE_S`; as before (*late*), when nobody can tell."""
        try:
            oldest = await self._reader.first_after(log, ">", await self._store.archived_through(log))
        except Unavailable:
            return late
        return oldest is not None and self._clock.now_ms() - oldest.at_ms > LATE_S * 1000

    async def _read(self, record: StreamRecord, now: float) -> dict[str, int]:
        known = self._keys.get(record.stream_id)
        if known is None or now - known.at >= LOOK_S:
            known = self._keys[record.stream_id] = _Keys(now, asyncio.create_task(self._unarchived_keys(record)))
            self._keys.move_to_end(record.stream_id)
            while len(self._keys) > STREAMS:
                self._keys.popitem(last=False)
        try:
            return await asyncio.shield(known.task)
        except Unavailable:
            # The next one asks again.
            if self._keys.get(record.stream_id) is known:
                del self._keys[record.stream_id]
            raise

    async def _unarchived_keys(self, record: StreamRecord) -> dict[str, int]:
        recent = await self._unarchived.read(record)
        return {message.msg_id: message.seq for message in reversed(recent.messages) if message.msg_id}
