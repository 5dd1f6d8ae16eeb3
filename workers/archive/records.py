"""Stream records into the store, reactions of ended streams, and the item that a writer which died could not publish any more.

A record's KV revision is the Msg-Id of the item that tells viewers of it. Publishing that item again is harmless
within the log's duplicate window of five minutes. Later it would be a second item, so an older revision is announced
only after the store has everything that the log had when the revision came here, and the item is not among it.
"""

from collections.abc import Sequence

import msgspec

from infra.clock import Clock
from infra.jetstream.counters import Counters
from infra.jetstream.pull import Delivery
from infra.jetstream.reader import Reader
from infra.jetstream.streams import StreamRecords, decode_record
from infra.stores import CommentStore, StreamStore
from infra.telemetry import logs
from schemas import subjects
from schemas.items import REACTIONS
from schemas.records import StreamRecord, announcement
from schemas.streamid import is_stream_id
from workers.archive.erasure import Erasure
from workers.handler import Done, Outcome, Reject, Retry

log = logs.get(__name__)

#: The window is five minutes by the broker's clock; ours may differ by one.
DUPLICATE_SAFE_MS = 4 * 60_000
NOT_YET_S = 0.5


class RecordArchive:
    """The handler of the `archive` consumer of the bucket `streams`."""

    def __init__(
        self,
        *,
        streams: StreamStore,
        comments: CommentStore,
        records: StreamRecords,
        counters: Counters,
        reader: Reader,
        clock: Clock,
        live_max_age_s: float,
        erasure: Erasure,
    ) -> None:
        """*live_max_age_s*: an item older than what the live log keeps is no news to anybody."""
        self._streams = streams
        self._comments = comments
        self._records = records
        self._counters = counters
        self._reader = reader
        self._clock = clock
        self._too_old_ms = live_max_age_s * 1000
        self._erasure = erasure
        #: revision -> the live log's last seq when it came here; at most the consumer's `max_ack_pending`.
        self._until: dict[int, int] = {}

    def fetched(self, batch: Sequence[Delivery]) -> None:
        """Nothing to account for: a record's revision orders itself."""

    async def handle(self, batch: Sequence[Delivery]) -> list[Outcome]:
        """Store all records first, and the reactions of streams that have ended; then announce what nobody has.

        Raises:
            Unavailable: the store, the counters, or the live log; all of it may be repeated.
        """
        read = [_read(delivery) for delivery in batch]
        for delivery, record in zip(batch, read, strict=True):
            if isinstance(record, StreamRecord):
                await self._streams.put(record, delivery.seq)
                if record.status == "ended":
                    # Nobody can add to them any more; until then the counters themselves are asked.
                    totals = await self._counters.totals(record.shard, record.stream_id)
                    await self._streams.put_reactions(record.stream_id, {name: totals.get(name, 0) for name in REACTIONS})
        return [await self._outcome(record, delivery) for delivery, record in zip(batch, read, strict=True)]

    def rejected(self, delivery: Delivery) -> None:
        """Forget what was remembered of it."""
        self._until.pop(delivery.seq, None)

    async def tend(self) -> None:
        """Nothing is due between batches."""

    async def _outcome(self, read: StreamRecord | str | Outcome, delivery: Delivery) -> Outcome:
        if isinstance(read, str):
            return await self._erasure.erase(read, delivery)
        return await self._announce(read, delivery) if isinstance(read, StreamRecord) else read

    async def _announce(self, record: StreamRecord, delivery: Delivery) -> Outcome:
        if announcement(record, delivery.seq) is None or await self._known(record, delivery.seq):
            return Done()
        age_ms = self._clock.now_ms() - delivery.at_ms
        if age_ms > self._too_old_ms:
            return Done()
        if age_ms > DUPLICATE_SAFE_MS:
            live_log = subjects.live_log(record.shard)
            if delivery.seq not in self._until:
                self._until[delivery.seq] = (await self._reader.state(live_log)).last
            if await self._comments.archived_through(live_log) < self._until[delivery.seq]:
                return Retry(NOT_YET_S)
            del self._until[delivery.seq]
            if await self._known(record, delivery.seq):
                return Done()
            log.warning("change announced for its writer", stream_id=record.stream_id, revision=delivery.seq)
        await self._records.announce(record, delivery.seq)
        return Done()

    async def _known(self, record: StreamRecord, revision: int) -> bool:
        msg_id = subjects.settings_msg_id(record.stream_id, revision)
        return bool(await self._comments.by_msg_ids([(record.stream_id, msg_id)]))


def _read(delivery: Delivery) -> StreamRecord | str | Outcome:
    """The record; the id of a stream that was deleted; or what becomes of a message that is neither."""
    key = delivery.subject.removeprefix("$KV.streams.")
    if "KV-Operation" in delivery.headers or "Nats-Marker-Reason" in delivery.headers:
        return key if is_stream_id(key) else Done()
    try:
        record = decode_record(delivery.payload)
    except msgspec.MsgspecError as error:
        return Reject(f"no stream record: {error}")
    if record.stream_id != key:
        return Reject(f"the record under key {key} is that of stream {record.stream_id}")
    return record
