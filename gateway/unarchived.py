"""What the log has and the store does not have yet, kept between two questions about the same stream.

While the store is away or slow, what it was known to have before counts: it can only have more, and what it has beyond that
is in the log as well. So whatever the log alone can answer is answered, as fast as ever.
"""

import bisect
import contextlib
from collections.abc import Iterable
from functools import partial

import msgspec
from msgspec import Struct

from gateway.joined import Joined
from gateway.kept import Kept
from gateway.logends import LogEnds
from gateway.patience import Patience
from gateway.removals import Removals
from infra.clock import Clock
from infra.errors import Unavailable
from infra.jetstream.reader import LogMessage, Reader
from infra.stores import CommentStore
from schemas import codec, subjects
from schemas.items import Item
from schemas.records import StreamRecord

#: Messages of one stream that may wait for the archive; past them its history answers 503 until the archive is back: an
#: archive that is away for a day would otherwise take a gateway's memory, and every stream with it.
MOST = 50_000
#: Bytes of one stream's messages, and of all streams' together; with what reading them takes, half of 64 MiB.
MOST_BYTES = 24 * 1024**2
KEPT_BYTES = 32 * 1024**2
#: What a message takes beside its payload.
OVERHEAD = 540
#: Messages that are read at once: they come with four times as many headers as are kept.
CHUNK = 5000
#: Streams that are known to have too many.
STREAMS = 100_000
RETRY_S = 10
#: How long the store is waited for where it has answered before, where it has not, and for how long an answer counts.
ANSWERS_S = 0.25
FIRST_S = 5.0
KNOWN_S = 3600.0
#: For how long nobody asks again: it can only have more by now, and what it has beyond that is in the log as well. Without it a
#: page asked three times.
LATELY_S = 0.5
#: Above every seq.
NOBODY_KNOWS = 2**63
#: How a comment begins as the codec writes it; one that somebody else wrote otherwise is only looked at closer.
COMMENT = b'{"type":"comment",'


class FarBehind(Unavailable):
    """So much of a stream waits for the archive that it cannot be held here."""

    def __init__(self, log: str, most: int) -> None:
        super().__init__(f"the archive is behind: more than {most:,} items of this stream in {log} wait for it", RETRY_S)


class Recent(Struct, frozen=True):
    """The messages after `through`, up to which the store has everything, and what they decide on comments.

    `complete` is False when the log did not answer: then these are the messages that were known before. `begins` is the seq
    from which the log had everything after they were read, `NOBODY_KNOWS` where it did not say.
    """

    through: int
    messages: list[LogMessage]
    removals: Removals
    complete: bool
    begins: int
    weight: int = 0
    #: How often the log was seen to have lost its end: what was told of messages before may be of others.
    losses: int = 0

    @property
    def last(self) -> int:
        """The last seq that is known of, at least `through`."""
        return self.messages[-1].seq if self.messages else self.through

    @property
    def whole(self) -> bool:
        """Whether these are all there are after `through`: the log has given up none of them."""
        return self.begins <= self.through + 1

    @property
    def bound(self) -> int:
        """What the store has above it was posted after the log was read, and is there with holes."""
        return max(self.last, self.begins - 1)


class Unarchived:
    """One gateway's knowledge of the logs' ends. In step with an archive that is a second behind, it is a few messages."""

    def __init__(self, store: CommentStore, reader: Reader, ends: LogEnds, clock: Clock) -> None:
        self._store = store
        self._patience = Patience(clock)
        self._reader = reader
        self._ends = ends
        self._clock = clock
        self._kept: Kept[Recent] = Kept(KEPT_BYTES)
        #: Streams with too many: how far the archive must have come before they are read again.
        self._too_many: Kept[int] = Kept(STREAMS)
        #: log -> what the store had of it, and when that was. There are few logs.
        self._known: dict[str, tuple[int, float]] = {}
        #: Each for itself would read what came since the last answer: at 1,000 comments/s and thirty questions a second that
        #: took a little longer, a gateway read the same messages over and over, and they took longer still.
        self._joined: Joined[Recent] = Joined()

    async def read(self, record: StreamRecord) -> Recent:
        """Everything of a stream that is in the log now and not certainly in the store.

        Raises:
            FarBehind: more than `MOST` messages wait to be archived.
            Unavailable: the store does not answer.
        """
        return await self._joined.ask(record.stream_id, partial(self._read, record))

    async def _read(self, record: StreamRecord) -> Recent:
        log = subjects.live_log(record.shard)
        found = await self._read_from(record, log, await self.through(log, LATELY_S))
        if found.complete and not found.whole:
            # The log forgot some since the store was asked how far it has everything, or before the archive took them.
            found = await self._read_from(record, log, await self.through(log))
        return found

    async def _read_from(self, record: StreamRecord, log: str, through: int, losses: int = 0) -> Recent:
        subject = subjects.live(record.shard, record.stream_id)
        if through < (self._too_many.get(record.stream_id) or 0):
            raise FarBehind(log, MOST)
        before = self._kept.get(record.stream_id)
        through = max(through, before.through) if before else through
        # Twenty thousand wait while nodes of the store are away: only what has changed is looked at.
        passed = bisect.bisect_right(before.messages, through, key=_seq) if before else 0
        messages = before.messages[passed:] if before else []
        weight = before.weight - weighed(before.messages[:passed]) if before else 0
        # The last one is read again: a log that lost its last second gives its seq to another, or to none for a while.
        last_known = messages.pop() if messages else None
        known = len(messages)
        complete, begins = True, NOBODY_KNOWS
        try:
            after = last_known.seq - 1 if last_known is not None else through
            await self._read_on(log, subject, after, messages, weight)
            newest = await self._reader.newest(log, subject)
            if last_known is not None and len(messages) == known and newest == last_known.seq:
                # A replica that lags, and has not even that.
                messages.append(last_known)
            # Of what the log's leader has a replica may lack the last: all that was acknowledged before is to be there.
            last = messages[-1].seq if len(messages) > known else after
            if newest > last and len(messages) <= MOST:
                late = await self._reader.range(log, subject, last, newest, MOST + 1 - len(messages))
                messages += [_slim(subject, message) for message in late]
            # As it is after they were read: what it has now it had then. Before its first life there was nothing.
            state = await self._ends.now(log)
            begins = state.first if state.first > state.incarnation else 0
        except Unavailable:
            complete = False
        if last_known is not None and last_known not in messages[known : known + 1]:
            another = len(messages) > known and messages[known].seq == last_known.seq
            if another or (complete and begins <= last_known.seq):
                # The log has another there, or none and has not forgotten it: nor may it have what came before it.
                self._kept.drop(record.stream_id)
                return await self._read_from(record, log, through, before.losses + 1 if before else 1)
            messages.insert(known, last_known)
        fresh = messages[known:]
        weight += weighed(fresh) - (weighed([last_known]) if last_known is not None else 0)
        if len(messages) > MOST or weight > MOST_BYTES:
            self._kept.drop(record.stream_id)
            # Reading them all again for each question would cost more than answering it.
            self._too_many.put(record.stream_id, messages[len(messages) // 2].seq, 1)
            raise FarBehind(log, len(messages) - 1)
        if before is not None and (before.through == through or not before.removals):
            # What it has learned stays true, and fifty thousand messages are not taken apart for each question.
            removals = before.removals
            learn(removals, fresh)
        else:
            removals = Removals()
            learn(removals, messages)
        found = Recent(through, messages, removals, complete, begins, weight, before.losses if before else losses)
        self._kept.put(record.stream_id, found, max(OVERHEAD, weight))
        return found

    async def _read_on(self, log: str, subject: str, after: int, messages: list[LogMessage], weight: int) -> None:
        """Append what came after *after*; past the bounds by one message, or by one chunk."""
        while len(messages) <= MOST and weight <= MOST_BYTES:
            wanted = min(CHUNK, MOST + 1 - len(messages))
            some = await self._reader.follow_from(log, subject, after, wanted)
            after = some[-1].seq if some else after
            messages += [_slim(subject, message) for message in some]
            weight += weighed(some)
            if len(some) < wanted:
                return

    async def through(self, log: str, lately_s: float = 0.0) -> int:
        """Up to where the store has everything: as it says, or as it said up to *lately_s* ago, or before it fell silent.

        Raises:
            Unavailable: it does not answer, and has not for an hour or ever.
        """
        now = self._clock.monotonic()
        known, at = self._known.get(log, (0, -KNOWN_S))
        through: int | None = None
        if now - at >= KNOWN_S:
            through = await self._patience.wait(self._store.archived_through(log), FIRST_S)
        elif now - at < lately_s or self._patience.silent:
            return known
        else:
            # It does not answer at once: what it was known to have before counts.
            with contextlib.suppress(Unavailable):
                through = await self._patience.wait(self._store.archived_through(log), ANSWERS_S)
        # Answers cross: who believed an older one that came later would miss what lies between the two.
        known, at = self._known.get(log, (0, -KNOWN_S))
        if through is None:
            return known
        self._known[log] = max(known, through), max(at, now)
        return max(known, through)


def weighed(messages: Iterable[LogMessage]) -> int:
    """The bytes that *messages* take while they are kept."""
    return sum(len(message.payload) + OVERHEAD for message in messages)


def _seq(message: LogMessage) -> int:
    return message.seq


def _slim(subject: str, message: LogMessage) -> LogMessage:
    """*message* with the one header that is asked for, since each of the others weighs as much."""
    headers = {} if message.msg_id is None else {"Nats-Msg-Id": message.msg_id}
    return LogMessage(subject, message.seq, message.at_ms, message.payload, headers)


def learn(removals: Removals, messages: Iterable[LogMessage]) -> None:
    """Teach *removals* every decision among *messages*."""
    for message in messages:
        # Nearly all are comments, which decide nothing: taking tens of thousands apart would hold the loop for half a second.
        if message.payload.startswith(COMMENT):
            continue
        item = item_of(message)
        if item is not None:
            removals.learn(item, message.seq)


def item_of(message: LogMessage) -> Item | None:
    """The item a message holds; `None` for what is none, which is reported where it is shown."""
    try:
        return codec.decode_item(message.payload)
    except msgspec.MsgspecError:
        return None
