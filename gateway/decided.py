"""What the log says was decided before an audience began to follow: read once it matters, and kept with what came since.

A decision lies after the comment it concerns, and the log forgets from its beginning on. So a log that still has a comment
has all that was decided on it, and nobody has to ask the store whether it stands.
"""

from gateway.removals import Removals
from gateway.unarchived import learn
from infra.jetstream.reader import Reader
from schemas import subjects
from schemas.records import StreamRecord

#: Messages that are read at once; none of them is kept.
CHUNK = 500
#: Decisions that one audience holds before it reads on for more: some 12 MB. What it hears while it follows comes beside that.
MOST = 50_000


class Decided:
    """Of one gateway."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def reach(self, record: StreamRecord, after: int, removals: Removals, most: int) -> bool:
        """Have *removals* know what was decided on everything after *after* that the log has now.

        False where that takes more than *most* messages of the stream, or there are more than `MOST` decisions.

        Raises:
            Unavailable: the broker is away, or a replica stays behind.
        """
        log, subject = subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id)
        since = removals.since
        if after >= since:
            return True
        if len(removals) >= MOST:
            return False
        unknown = await self._reader.ahead(log, subject, after)
        if unknown > most and unknown - await self._reader.ahead(log, subject, since) > most:
            return False
        # The stream's own last message, as the leader knows it: a replica that lags is asked again until it has that.
        newest = await self._reader.newest(log, subject)
        position, older = after, Removals(after)
        while position < since:
            messages = await self._reader.range(log, subject, position, newest, CHUNK)
            learn(older, messages)
            if len(older) > MOST:
                return False
            position = messages[-1].seq if len(messages) == CHUNK else since
        removals.absorb(older)
        return True
