"""The stream records in KV, and the item that tells viewers of each change.

KV is the state and its revision is the item's Msg-Id: a writer that dies between the two leaves a revision that the
archive announces in its place, once.
"""

from collections.abc import Callable

import msgspec

from infra.errors import Conflict, Missing, Unavailable
from infra.jetstream.feed import Feed
from infra.jetstream.kv import Bucket, Entry, Following
from infra.jetstream.publisher import Publisher
from infra.telemetry import logs
from schemas import codec, subjects
from schemas.records import StreamRecord, announcement

log = logs.get(__name__)

ATTEMPTS = 10
BUCKET = "streams"
#: A change of privacy reaches every gateway within 2 s, also where the feed loses it.
RESYNC_S = 1.0


def decode_record(value: bytes) -> StreamRecord:
    """Read a record's KV value.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return msgspec.json.decode(value, type=StreamRecord)


class StreamRecords:
    """Reads and changes stream records."""

    def __init__(self, bucket: Bucket, publisher: Publisher) -> None:
        self._bucket = bucket
        self._publisher = publisher

    async def create(self, record: StreamRecord) -> int:
        """Write a new stream's record and return its revision.

        Raises:
            Unavailable: not acknowledged.
        """
        return await self._bucket.create(record.stream_id, codec.encode(record))

    async def get(self, stream_id: str) -> tuple[StreamRecord, int] | None:
        """The record and its revision, or `None`.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        entry = await self._bucket.get(stream_id)
        if entry is None or entry.value is None:
            return None
        return decode_record(entry.value), entry.revision

    async def change(self, stream_id: str, decide: Callable[[StreamRecord], StreamRecord | None]) -> tuple[StreamRecord, int]:
        """Read, *decide*, write; again when somebody else wrote first. *decide* returns `None` to leave it as it is.

        The item that tells viewers is published before this returns; should that fail, the archive does it.

        Raises:
            Missing: no such stream.
            Unavailable: not acknowledged.
            Conflict: ten others wrote first.
        """
        for _ in range(ATTEMPTS):
            found = await self.get(stream_id)
            if found is None:
                msg = f"there is no stream {stream_id}"
                raise Missing(msg)
            record, revision = found
            wanted = decide(record)
            if wanted is None:
                return record, revision
            try:
                revision = await self._bucket.update(stream_id, codec.encode(wanted), revision)
            except Conflict:
                continue
            await self._tell(wanted, revision)
            return wanted, revision
        msg = f"stream {stream_id} was changed {ATTEMPTS} times in between"
        raise Conflict(msg)

    async def delete(self, stream_id: str) -> int:
        """Delete a record, and return the revision of its deletion, which stays; the archive erases what the stream leaves.

        Raises:
            Unavailable: not acknowledged; doing it again is safe.
        """
        return await self._bucket.put(stream_id, None)

    async def announce(self, record: StreamRecord, revision: int) -> int | None:
        """Publish the item of *revision*, once however often this is called; its seq, or `None` when it tells nothing.

        Raises:
            Unavailable: not acknowledged.
        """
        item = announcement(record, revision)
        if item is None:
            return None
        ack = await self._publisher.publish(
            subjects.live(record.shard, record.stream_id),
            codec.encode(item),
            subjects.settings_msg_id(record.stream_id, revision),
        )
        return ack.seq

    async def _tell(self, record: StreamRecord, revision: int) -> None:
        try:
            await self.announce(record, revision)
        except Unavailable as error:
            log.warning("change not announced; the archive will", stream_id=record.stream_id, cause=str(error))

    async def follow(self, feed: Feed, take: Callable[[str, StreamRecord | None, int], None]) -> Following:
        """Call *take* with (stream id, record or `None` when deleted, revision) for all there are, then for each change.

        Raises:
            Unavailable: the bucket cannot be read.
        """

        def taken(entry: Entry) -> None:
            try:
                record = decode_record(entry.value) if entry.value is not None else None
            except msgspec.MsgspecError as error:
                log.error("unreadable stream record skipped", key=entry.key, cause=str(error))
                return
            take(entry.key, record, entry.revision)

        return await self._bucket.follow(feed, taken, every_s=RESYNC_S)
