"""What the log has and the store does not have yet, kept between two questions about the same stream."""

from collections import OrderedDict
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from gateway.removals import Removals
from infra.errors import Unavailable
from infra.jetstream.reader import LogMessage, Reader
from infra.stores import CommentStore
from schemas import codec, subjects
from schemas.items import Comment, Item
from schemas.records import StreamRecord

#: Streams whose messages are kept; the one asked for the longest ago goes first.
STREAMS = 256


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
        self._kept: OrderedDict[str, Recent] = OrderedDict()

    async def read(self, record: StreamRecord) -> Recent:
        """Everything of a stream that is in the log now and not certainly in the store.

        Raises:
            Unavailable: the store does not answer.
        """
        log, subject = subjects.live_log(record.shard), subjects.live(record.shard, record.stream_id)
        through = await self._store.archived_through(log)
        before = self._kept.get(record.stream_id)
        messages = [message for message in before.messages if message.seq > through] if before else []
        complete = True
        try:
            fresh = await self._reader.follow_from(log, subject, messages[-1].seq if messages else through)
        except Unavailable:
            fresh, complete = [], False
        messages += fresh
        removals = Removals()
        learn(removals, messages)
        found = Recent(through, messages, removals, complete)
        self._kept[record.stream_id] = found
        self._kept.move_to_end(record.stream_id)
        while len(self._kept) > STREAMS:
            self._kept.popitem(last=False)
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
