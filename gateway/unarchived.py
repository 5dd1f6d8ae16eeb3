"""What the log has and the store does not have yet, kept between two questions about the same stream."""

import asyncio
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from gateway.kept import Kept
from gateway.removals import Removals
from infra.errors import Unavailable
from infra.jetstream.reader import LogMessage, Reader
from infra.stores import CommentStore
from schemas import codec, subjects
from schemas.items import Comment, Item
from schemas.records import StreamRecord

#: Messages of one stream that may wait for the archive; past them its history answers 503 until the archive is back. About
#: 1.7 kB each: an archive that is away for a day would otherwise take a gateway's memory, and every stream with it.
MOST = 50_000
#: Messages that are kept, of all streams together (a stream without any counts as one).
KEPT = 100_000
RETRY_S = 10


class FarBehind(Unavailable):
    """So much of a stream waits for the archive that it cannot be held here."""

    def __init__(self, log: str) -> None:
        super().__init__(f"the archive is behind: more than {MOST:,} items of this stream in {log} wait for it", RETRY_S)


class Recent(Struct, frozen=True):
    """The messages after `through`, up to which the store has everything, and what they decide on comments.

    `complete` is False when the log did not answer: then these are the messages that were known before.
    """

    through: int
    messages: list[LogMessage]
    removals: Removals
    complete: bool

    @property
    def last(self) -> int:
        """The last seq that is known of, at least `through`."""
        return self.messages[-1].seq if self.messages else self.through

    def hides(self, payload: bytes, seq: int) -> bool:
        """Whether the comment in *payload*, stored at *seq*, was removed since."""
        item = codec.decode_item(payload)
        return isinstance(item, Comment) and self.removals.reason(item.comment_id, item.user.id, seq) is not None


class Unarchived:
    """One gateway's knowledge of the logs' ends. In step with an archive that is a second behind, it is a few messages."""

    def __init__(self, store: CommentStore, reader: Reader) -> None:
        self._store = store
        self._reader = reader
        self._kept: Kept[Recent] = Kept(KEPT)
        #: Streams with too many: how far the archive must have come before they are read again.
        self._too_many: Kept[int] = Kept(KEPT)
        #: Streams that are being read for the first time: whoever asks meanwhile waits, and reads only what came since.
        self._first: dict[str, asyncio.Event] = {}

    async def read(self, record: StreamRecord) -> Recent:
        """Everything of a stream that is in the log now and not certainly in the store.

        Raises:
            FarBehind: more than `MOST` messages wait to be archived.
            Unavailable: the store does not answer.
        """
        stream_id = record.stream_id
        if self._kept.get(stream_id) is not None:
            return await self._read(record)
        if (first := self._first.get(stream_id)) is not None:
            await first.wait()
            return await self._read(record)
        first = self._first[stream_id] = asyncio.Event()
        try:
            return await self._read(record)
        finally:
            del self._first[stream_id]
            first.set()

    async def _read(self, record: StreamRecord) -> Recent:
        log, subject = subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id)
        through = await self._store.archived_through(log)
        if through < (self._too_many.get(record.stream_id) or 0):
            raise FarBehind(log)
        before = self._kept.get(record.stream_id)
        messages = [message for message in before.messages if message.seq > through] if before else []
        complete = True
        try:
            fresh = await self._reader.follow_from(
                log, subject, messages[-1].seq if messages else through, MOST + 1 - len(messages)
            )
        except Unavailable:
            fresh, complete = [], False
        messages += fresh
        if len(messages) > MOST:
            self._kept.drop(record.stream_id)
            # Reading them all again for each question would cost more than answering it.
            self._too_many.put(record.stream_id, messages[MOST // 2].seq, 1)
            raise FarBehind(log)
        if before is not None and before.through == through:
            # What it has learned stays true, and fifty thousand messages are not taken apart for each question.
            removals = before.removals
            learn(removals, fresh)
        else:
            removals = Removals()
            learn(removals, messages)
        found = Recent(through, messages, removals, complete)
        self._kept.put(record.stream_id, found, max(1, len(messages)))
        return found


def learn(removals: Removals, messages: Iterable[LogMessage]) -> None:
    """Teach *removals* every decision among *messages*."""
    for message in messages:
        item = item_of(message)
        if item is not None:
            removals.learn(item, message.seq)


def item_of(message: LogMessage) -> Item | None:
    """The item a message holds; `None` for what is none, which is reported where it is shown."""
    try:
        return codec.decode_item(message.payload)
    except msgspec.MsgspecError:
        return None
