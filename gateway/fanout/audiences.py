"""The audiences of a gateway: opened when somebody comes, closed when nobody has been there for a while, bounded together."""

import asyncio
from collections.abc import Callable

from gateway.fanout.audience import Audience
from gateway.fanout.slices import slices
from infra.jetstream.counters import Counters
from schemas.records import StreamRecord

#: An audience without viewers keeps following for this long: a reload finds its ring warm.
IDLE_S = 30.0
#: Counters read side by side after the broker's return.
RECOUNTS = 32


class Audiences:
    """Each is opened once, however many come for it at a time."""

    def __init__(self, make: Callable[[StreamRecord], Audience], counters: Counters) -> None:
        """*make* gives an audience that is not open yet."""
        self._make = make
        self._counters = counters
        #: By stream, those that are open; nobody else adds to it or takes from it.
        self.open: dict[str, Audience] = {}
        self._opening: dict[str, asyncio.Task[Audience]] = {}

    async def of(self, record: StreamRecord) -> Audience:
        """That of a stream, opened if need be.

        Raises:
            Unavailable: broker or store is away and the stream is not watched here yet.
        """
        stream_id = record.stream_id
        if (audience := self.open.get(stream_id)) is not None:
            return audience
        task = self._opening.get(stream_id)
        if task is None:
            task = asyncio.create_task(self._open(record))
            self._opening[stream_id] = task
            task.add_done_callback(lambda _: self._opening.pop(stream_id, None))
        # Shielded: whoever leaves must not end it for the others.
        return await asyncio.shield(task)

    async def _open(self, record: StreamRecord) -> Audience:
        audience = self._make(record)
        try:
            await audience.open()
            # Only now: what is counted from here on comes as a pulse.
            audience.pulse.know(await self._counters.parts(record.shard, record.stream_id))
        except BaseException:
            await audience.close()
            raise
        self.open[record.stream_id] = audience
        return audience

    async def recount(self) -> None:
        """Read all counters again: pulses sent while the broker was away are lost.

        Raises:
            Unavailable: the broker is away.
        """
        slots = asyncio.Semaphore(RECOUNTS)

        async def recount(audience: Audience) -> None:
            async with slots:
                parts = await self._counters.parts(audience.record.shard, audience.stream_id)
            audience.learn(parts)

        await asyncio.gather(*(recount(audience) for audience in self.open.values()))

    async def bound(self, total_bytes: int) -> None:
        """Let the rings give what all of them and their shelves hold above *total_bytes*."""
        over = -total_bytes
        for some in slices(self.open.values()):
            over += sum(audience.held for audience in some)
            await asyncio.sleep(0)
        if over <= 0:
            return
        # The largest give first: they are refilled the fastest.
        for some in slices(sorted(self.open.values(), key=lambda audience: -audience.ring.bytes)):
            for audience in some:
                if over <= 0:
                    return
                over -= audience.ring.shed(over)
            await asyncio.sleep(0)

    async def close_idle(self, now: float) -> None:
        """Close those that nobody has watched for `IDLE_S`."""
        for some in slices(self.open.items()):
            for stream_id, audience in some:
                if not audience.viewers and now - audience.idle_since > IDLE_S:
                    del self.open[stream_id]
                    await audience.close()
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Close all; the viewers must be gone or ended."""
        for audience in list(self.open.values()):
            await audience.close()
