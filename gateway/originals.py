"""The comment that was posted with an idempotency key: out of the log first, which needs no store to be up."""

from gateway.merged import outline
from gateway.patience import Patience
from gateway.removals import Removals
from gateway.unarchived import FarBehind, Recent, Unarchived, learn
from infra.errors import Unavailable
from infra.jetstream.reader import LogMessage, Reader
from infra.stores import CommentStore
from schemas import codec, subjects
from schemas.items import Comment
from schemas.records import StreamRecord

#: Items after a comment that are looked at for what was decided on it while the store is away, 300 kB of them: a retry comes
#: soon after its comment, and the archive is a second behind. Who retries spends no limit, so it is no more.
LOOKED_AT = 1000


class Originals:
    """Of one gateway."""

    def __init__(self, store: CommentStore, reader: Reader, unarchived: Unarchived, patience: Patience, store_s: float) -> None:
        """*store_s*: how long an answer waits for the store."""
        self._store = store
        self._reader = reader
        self._unarchived = unarchived
        self._patience = patience
        self._store_s = store_s

    async def at(self, record: StreamRecord, seq: int) -> tuple[Comment, int, bool] | None:
        """The comment at *seq* as it was posted, when the log took it, and whether it is removed now.

        Raises:
            Unavailable: neither log nor store can tell.
        """
        away: Unavailable | None = None
        behind: FarBehind | None = None
        message: LogMessage | None = None
        recent: Recent | None = None
        try:
            message = await self._logged(record, seq)
        except Unavailable as error:
            away = error
        try:
            recent = await self._unarchived.read(record)
        except FarBehind as error:
            behind = error
        if message is not None and recent is not None and (seq > recent.through or self._patience.silent):
            return await self._of_log(record, message, recent)
        try:
            rows = await self._patience.wait(self._store.range(record.stream_id, seq - 1, seq, 1), self._store_s)
        except Unavailable:
            if message is None or recent is None:
                raise
            return await self._of_log(record, message, recent)
        if rows:
            return _told(rows[0].payload, seq, rows[0].at_ms, recent.removals if recent else Removals(), rows[0].removed)
        if away is not None:
            raise away
        if message is not None and behind is not None:
            raise behind
        return await self._of_log(record, message, recent) if message is not None and recent is not None else None

    async def _logged(self, record: StreamRecord, seq: int) -> LogMessage | None:
        log, subject = subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id)
        found = await self._reader.range(log, subject, seq - 1, seq, 1)
        return found[0] if found else None

    async def _of_log(self, record: StreamRecord, message: LogMessage, recent: Recent) -> tuple[Comment, int, bool] | None:
        """The same without the store: all that was decided on a comment that the log has, it has as well."""
        archived, looked = Removals(), outline(message.payload)
        if message.seq < recent.through:
            log, subject = subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id)
            later = await self._reader.range(log, subject, message.seq, recent.through, LOOKED_AT + 1)
            if len(later) > LOOKED_AT:
                msg = f"the store is away, and more than {LOOKED_AT:,} items came after the comment: nobody knows if it stands"
                raise Unavailable(msg)
            learn(archived, later)
        stored = archived.reason(looked.comment_id, looked.user.id, message.seq)
        return _told(message.payload, message.seq, message.at_ms, recent.removals, stored)


def _told(payload: bytes, seq: int, at_ms: int, removals: Removals, stored: str | None) -> tuple[Comment, int, bool] | None:
    item = codec.decode_item(payload)
    if not isinstance(item, Comment):
        return None
    return item, at_ms, removals.standing(item.comment_id, item.user.id, seq, stored) is not None
