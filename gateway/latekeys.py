"""Keys that the log is about to forget and the store does not know yet: those of an archive that is long away.

Every post asks whose key may be as old as that (`gateway.earlier`), so nothing here is read for one of them alone: whether
the archive is late, and if it is which keys wait for it, is read for all of them together, once in a while.
"""

import asyncio
from functools import partial
from typing import Generic, TypeVar

from msgspec import Struct

from gateway.kept import Kept
from gateway.unarchived import Unarchived
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.reader import Reader
from schemas import subjects
from schemas.records import StreamRecord

#: The log knows a key for 5 minutes, the store from when it is archived on. Past this, what lies between the two is searched.
LATE_S = 120.0
#: How old an answer may be; with `LATE_S` still less than the 5 minutes.
LOOK_S = 10.0


#: Keys that are kept, of all streams together: about 250 bytes each.
KEPT = 200_000
#: Logs whose archive is looked at: as many as there may be.
LOGS = 256

T = TypeVar("T")


class _Answer(Struct, Generic[T]):
    """What was asked at a time (monotonic), for everybody who asks soon after."""

    at: float
    task: asyncio.Task[T]

    @property
    def failed(self) -> bool:
        """Whether it ended without an answer."""
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)

    async def found(self) -> T:
        """Wait for it. Shielded: whoever leaves must not end it for the others."""
        return self.task.result() if self.task.done() else await asyncio.shield(self.task)


class LateKeys:
    """Answers for one gateway."""

    def __init__(self, reader: Reader, clock: Clock, unarchived: Unarchived) -> None:
        self._reader = reader
        self._clock = clock
        self._unarchived = unarchived
        self._looks: Kept[_Answer[bool]] = Kept(LOGS)
        self._keys: Kept[_Answer[dict[str, int]]] = Kept(KEPT)

    async def find(self, record: StreamRecord, msg_id: str) -> int | None:
        """Where the comment posted under *msg_id* is, if that is so long ago that the log may have forgotten the key.

        Raises:
            Unavailable: the store does not answer, or nobody can tell since too much waits for the archive.
        """
        log, now = subjects.live_log(record.shard), self._clock.monotonic()
        look = self._looks.get(log)
        if look is None or look.failed or now - look.at >= LOOK_S:
            before = look is not None and look.task.done() and not look.failed and look.task.result()
            look = _Answer(now, asyncio.create_task(self._look(log, late=before)))
            self._looks.put(log, look, 1)
        return (await self._read(record, now)).get(msg_id) if await look.found() else None

    async def _look(self, log: str, *, late: bool) -> bool:
        """Whether something waits to be archived for `LATE_S`; as before (*late*), when nobody can tell."""
        try:
            oldest = await self._reader.first_after(log, ">", await self._unarchived.through(log))
        except Unavailable:
            return late
        return oldest is not None and self._clock.now_ms() - oldest.at_ms > LATE_S * 1000

    async def _read(self, record: StreamRecord, now: float) -> dict[str, int]:
        keys = self._keys.get(record.stream_id)
        if keys is None or keys.failed or now - keys.at >= LOOK_S:
            keys = _Answer(now, asyncio.create_task(self._unarchived_keys(record)))
            self._keys.put(record.stream_id, keys, 1)
            keys.task.add_done_callback(partial(self._weigh, record.stream_id, keys))
        return await keys.found()

    def _weigh(self, stream_id: str, keys: "_Answer[dict[str, int]]", task: "asyncio.Task[dict[str, int]]") -> None:
        """What was found weighs more than the question."""
        if not keys.failed and self._keys.get(stream_id) is keys:
            self._keys.put(stream_id, keys, max(1, len(task.result())))

    async def _unarchived_keys(self, record: StreamRecord) -> dict[str, int]:
        recent = await self._unarchived.read(record)
        return {message.msg_id: message.seq for message in reversed(recent.messages) if message.msg_id}
