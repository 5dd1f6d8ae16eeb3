"""How many viewers came to each stream: counted durably, a batch at a time, beside everything else."""

from collections import defaultdict

from infra.errors import Unavailable
from infra.jetstream.counters import Counters


class Arrivals:
    """One per gateway. Bounded by the number of streams that are watched here."""

    def __init__(self, gateway: str, counters: Counters) -> None:
        """*gateway* names this process, so that no batch is counted twice."""
        self._gateway = gateway
        self._counters = counters
        self._waiting: dict[tuple[int, str], int] = defaultdict(int)
        self._batch = 0

    def note(self, shard: int, stream_id: str) -> None:
        """Somebody came who brings no position."""
        self._waiting[shard, stream_id] += 1

    async def count(self) -> None:
        """Count who came since; what cannot be counted now is counted with the next ones."""
        waiting, self._waiting = self._waiting, defaultdict(int)
        for (shard, stream_id), count in waiting.items():
            self._batch += 1
            try:
                await self._counters.add(shard, stream_id, "arrivals", count, f"{self._gateway}.{self._batch}")
            except Unavailable:
                self._waiting[shard, stream_id] += count
