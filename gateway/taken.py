"""When the log took a comment: from this gateway's own feed where it has come by already, else from the log."""

from collections.abc import Callable

from infra.jetstream.moments import Moments
from schemas import subjects
from schemas.records import StreamRecord


def _nothing(_stream_id: str, _seq: int) -> int | None:
    """A gateway without viewers has no feed."""
    return None


class Taken:
    """Answers for one gateway."""

    def __init__(self, moments: Moments, recent: Callable[[str, int], int | None] = _nothing) -> None:
        """*recent* gives the time (ms) of a message of a stream that came by on the feed a moment ago, or `None`."""
        self._moments = moments
        self._recent = recent

    async def at_ms(self, record: StreamRecord, seq: int) -> int | None:
        """When the log took *seq*, in ms since the epoch; `None` when nobody can say within a second."""
        seen = self._recent(record.stream_id, seq)
        if seen is not None:
            return seen
        return await self._moments.at_ms(subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id), seq)
