"""How many viewers came to each stream: counted durably, a batch at a time, beside everything else."""

from infra.errors import Unavailable
from infra.jetstream.counters import Counters

Stream = tuple[int, str]


class Arrivals:
    """One per gateway. Bounded by the number of streams that are watched here."""

    def __init__(self, gateway: str, counters: Counters) -> None:
        """*gateway* names this process, so that no batch is counted twice."""
        self._gateway = gateway
        self._counters = counters
        self._waiting: dict[Stream, int] = {}
        #: Batches that were not acknowledged: they go again under their own ids, since they may have been counted.
        self._unsure: dict[Stream, tuple[int, str]] = {}
        self._batch = 0

    def note(self, shard: int, stream_id: str) -> None:
        """Somebody came who brings no position."""
        self._waiting[shard, stream_id] = self._waiting.get((shard, stream_id), 0) + 1

    async def count(self) -> None:
        """Count who came since the last call; what cannot be counted now is tried again with the next one."""
        for stream in {*self._unsure, *self._waiting}:
            if stream not in self._unsure:
                self._batch += 1
                self._unsure[stream] = self._waiting.pop(stream), f"{self._gateway}.{self._batch}"
            count, msg_id = self._unsure[stream]
            try:
                await self._counters.add(*stream, "arrivals", count, msg_id)
            except Unavailable:
                continue
            del self._unsure[stream]
