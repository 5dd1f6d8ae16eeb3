"""The journal, written to the log `MEDIA`: in order, once, and never in the way of the media.

Each write expects the event before it to be the stream's last. So one whose acknowledgement was lost is found there instead
of being stored twice, however long the broker was away; and a worker that has lost a stream cannot write after its successor:
it meets an event with a higher lease, and gives up its own.
"""

import asyncio
import itertools
import secrets
from collections import deque
from typing import NamedTuple

import msgspec

from infra.errors import Unavailable
from infra.jetstream.publisher import WRONG_LAST_SEQ, Publisher, Refused
from infra.jetstream.reader import Reader
from infra.telemetry import logs, metrics
from schemas import codec, subjects
from schemas.media import Event

#: Events that may wait. 40 encoders that drop and return every ten seconds tell as many in half a minute; past it the oldest
#: go, since the newest say how things are.
MOST = 1000
#: A lagging replica shows an older event as the last; the recorder writes of the same streams.
_TRIES = 10
_LAG_S = 0.05
_AGAIN_S = 1.0
#: What writing what is left may take when the worker stops.
CLOSE_S = 3.0


class _Told(msgspec.Struct):
    lease: int = 0


class _Entry(NamedTuple):
    stream_id: str
    lease: int
    msg_id: str
    payload: bytes


class Ledger:
    """One process's `Journal`."""

    def __init__(self, publisher: Publisher, reader: Reader, worker: str) -> None:
        self.worker = worker
        self._publisher = publisher
        self._reader = reader
        # A worker that starts anew in a container has its pid and its host's name again.
        self._process = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._waiting: deque[_Entry] = deque()
        self._task: asyncio.Task[None] | None = None
        self._away = False
        self._log = logs.get(__name__)

    def tell(self, event: Event) -> None:
        """As `Journal.tell`."""
        if len(self._waiting) >= MOST:
            self._waiting.popleft()
            metrics.MEDIA_DROPS.labels("events").inc()
        msg_id = subjects.media_msg_id(self._process, next(self._numbers))
        self._waiting.append(_Entry(event.stream_id, event.lease, msg_id, codec.encode(event)))
        metrics.MEDIA_QUEUED.labels("events").set(len(self._waiting))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="write media events")

    async def settled(self) -> None:
        """Wait until everything told so far is written or given up."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Write what waits, for `CLOSE_S` at most."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_S)
            self._task.cancel()

    async def _run(self) -> None:
        while self._waiting:
            entry = self._waiting[0]
            try:
                await self._write(entry)
            except Unavailable as error:
                if not self._away:
                    self._log.warning("media events wait to be written", cause=str(error))
                self._away = True
                await asyncio.sleep(_AGAIN_S)
                continue
            except Refused as error:
                self._log.error("a media event was refused", stream_id=entry.stream_id, cause=str(error))
                metrics.MEDIA_DROPS.labels("events").inc()
            self._away = False
            # It may have been given up meanwhile, as the oldest of too many.
            if self._waiting and self._waiting[0] is entry:
                self._waiting.popleft()
            metrics.MEDIA_QUEUED.labels("events").set(len(self._waiting))

    async def _write(self, entry: _Entry) -> None:
        subject = subjects.media(entry.stream_id)
        for _ in range(_TRIES):
            last = await self._reader.last(subjects.MEDIA_LOG, subject)
            if last is not None and last.msg_id == entry.msg_id:
                return
            if last is not None and 0 < entry.lease < msgspec.json.decode(last.payload, type=_Told).lease:
                self._log.info("a media event of a stream that is another worker's was given up", stream_id=entry.stream_id)
                metrics.MEDIA_DROPS.labels("events").inc()
                return
            expected = {"Nats-Expected-Last-Subject-Sequence": str(last.seq if last is not None else 0)}
            try:
                await self._publisher.publish(subject, entry.payload, entry.msg_id, expected)
            except Refused as error:
                if error.err_code != WRONG_LAST_SEQ:
                    raise
                await asyncio.sleep(_LAG_S)
            else:
                return
        msg = f"others keep writing to {subject}"
        raise Unavailable(msg)
