"""What a deleted stream leaves is erased: from the live log, the counters, the media log, the invitations, and the store.

The record's deletion in KV is the deletion: from then on nobody finds the stream. What it leaves goes once every gateway has
heard of it, and the store has all that was posted until then, so that nothing comes after it. Every step may be repeated.
"""

from msgspec import json

from infra.clock import Clock
from infra.jetstream.erasing import Eraser
from infra.jetstream.publisher import Publisher
from infra.jetstream.pull import Delivery
from infra.jetstream.reader import Reader
from infra.stores import CommentStore, StreamStore
from infra.telemetry import logs
from schemas import codec, subjects
from schemas.items import Ended
from schemas.times import rfc3339
from workers.handler import Done, Outcome, Retry

log = logs.get(__name__)

#: A gateway hears of a deletion within 2 s, or has no broker to post to; a post that waits for its PubAck does so for 10 s.
SETTLED_MS = 15_000
#: By how much the broker's clock, whose times the rows have, may be ahead of ours.
SKEW_MS = 60_000
LOOK_S, NOT_YET_S = 2.0, 0.5
INVITATIONS = "KV_invitations"


class Erasure:
    """Of the streams whose records were deleted."""

    def __init__(
        self,
        *,
        streams: StreamStore,
        comments: CommentStore,
        reader: Reader,
        publisher: Publisher,
        eraser: Eraser,
        clock: Clock,
        shards: int,
    ) -> None:
        self._streams = streams
        self._comments = comments
        self._reader = reader
        self._publisher = publisher
        self._eraser = eraser
        self._clock = clock
        self._shards = shards

    async def erase(self, stream_id: str, deletion: Delivery) -> Outcome:
        """Do what can be done by now of *deletion*.

        Raises:
            Unavailable: the store or the broker; all of it may be repeated.
        """
        await self._streams.remove(stream_id, deletion.seq)
        left_ms = deletion.at_ms + SETTLED_MS - self._clock.now_ms()
        if left_ms > 0:
            return Retry(min(left_ms / 1000, LOOK_S))
        for shard in range(self._shards):
            if not await self._erased(shard, stream_id, deletion):
                return Retry(NOT_YET_S)
        await self._eraser.erase(subjects.MEDIA_LOG, subjects.media(stream_id))
        await self._eraser.erase(INVITATIONS, f"$KV.invitations.{stream_id}.>")
        await self._comments.forget(stream_id, max(self._clock.now_ms(), deletion.at_ms) + SKEW_MS)
        log.info("a deleted stream is erased", stream_id=stream_id)
        return Done()

    async def _erased(self, shard: int, stream_id: str, deletion: Delivery) -> bool:
        """Erase what one shard has of it; false while the store has not all of that."""
        live_log, subject = subjects.live_log(shard), subjects.live(shard, stream_id)
        last = await self._reader.last(live_log, subject)
        if last is not None:
            # What stays says nothing, and is not the log's last message for long: see `infra.jetstream.erasing`.
            stays = Ended(revision=deletion.seq, ended_at=rfc3339(deletion.at_ms))
            if json.decode(last.payload) != json.decode(codec.encode(stays)):
                msg_id = subjects.settings_msg_id(stream_id, deletion.seq)
                last_seq = (await self._publisher.publish(subject, codec.encode(stays), msg_id)).seq
            else:
                last_seq = last.seq
            if await self._comments.archived_through(live_log) < last_seq:
                return False
            await self._eraser.erase(live_log, subject, last_seq)
        await self._eraser.erase(subjects.counts_log(shard), subjects.counts(shard, stream_id))
        return True
