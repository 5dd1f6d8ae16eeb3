"""The stream records this gateway knows: all of the bucket, followed; older ones from the store."""

from collections.abc import Callable

from gateway import access
from infra.errors import Unavailable
from infra.jetstream.feed import Feed
from infra.jetstream.kv import Following
from infra.jetstream.streams import StreamRecords
from infra.stores import StreamStore
from schemas.records import StreamRecord
from schemas.streamid import is_stream_id


class StreamDirectory:
    """A cache; the bucket is the authority."""

    def __init__(self, records: StreamRecords, store: StreamStore) -> None:
        self._records = records
        self._store = store
        self._known: dict[str, tuple[StreamRecord, int]] = {}
        #: Streams that were deleted: the store may still have their records for a moment.
        self._gone: set[str] = set()
        self._callbacks: list[Callable[[StreamRecord], None]] = []
        self._on_gone: list[Callable[[str], None]] = []
        self._following: Following | None = None

    def on_change(self, callback: Callable[[StreamRecord], None]) -> None:
        """Call *callback* with each new revision of any record."""
        self._callbacks.append(callback)

    def on_gone(self, callback: Callable[[str], None]) -> None:
        """Call *callback* with each stream that is deleted."""
        self._on_gone.append(callback)

    def is_gone(self, stream_id: str) -> bool:
        """Whether a stream was deleted."""
        return stream_id in self._gone

    async def start(self, feed: Feed) -> None:
        """Read all records and follow their changes.

        Raises:
            Unavailable: the broker is away.
        """
        self._following = await self._records.follow(feed, self._take)

    async def stop(self) -> None:
        """Stop following."""
        if self._following:
            await self._following.stop()

    def known(self, stream_id: str) -> StreamRecord | None:
        """A record that is in the cache."""
        found = self._known.get(stream_id)
        return found[0] if found else None

    async def get(self, stream_id: str) -> StreamRecord:
        """One record, from the cache where possible.

        Raises:
            Problem: NOT_FOUND, also for what is no stream id.
            Unavailable: not known here, and neither bucket nor store answers.
        """
        if not is_stream_id(stream_id) or stream_id in self._gone:
            raise access.not_found(stream_id)
        if stream_id in self._known:
            return self._known[stream_id][0]
        outage: Unavailable | None = None
        try:
            # Started a moment ago on another gateway.
            found = await self._records.get(stream_id)
        except Unavailable as error:
            found, outage = None, error
        if found is not None:
            self.put(*found)
            return found[0]
        stored = await self._store.get(stream_id)
        if stored is not None and stream_id not in self._gone:
            return stored
        if outage is not None:
            raise outage
        raise access.not_found(stream_id)

    def put(self, record: StreamRecord, revision: int) -> None:
        """Take note of a revision, so that a gateway reads its own writes; a lower one never replaces a higher."""
        if record.stream_id in self._gone:
            return
        if revision > self._known.get(record.stream_id, (record, 0))[1]:
            self._known[record.stream_id] = record, revision
            for callback in self._callbacks:
                callback(record)

    def remove(self, stream_id: str) -> None:
        """Take note that a stream was deleted. Its id is never given again."""
        if stream_id in self._gone:
            return
        self._gone.add(stream_id)
        self._known.pop(stream_id, None)
        for callback in self._on_gone:
            callback(stream_id)

    async def page(self, status: str | None, before: str | None, limit: int) -> list[StreamRecord]:
        """Records of one status with `stream_id < before`, newest first, at most *limit*.

        Raises:
            Unavailable: the store does not answer (ended streams are there).
        """
        known = [record for record, _ in self._known.values()]
        if status not in ("live", "scheduled"):
            here = set(self._known) | self._gone
            stored = await self._store.page(status=status, before=before, limit=limit + len(here))
            known += [record for record in stored if record.stream_id not in here]
        fitting = [
            record
            for record in known
            if (status is None or record.status == status) and (before is None or record.stream_id < before)
        ]
        return sorted(fitting, key=lambda record: record.stream_id, reverse=True)[:limit]

    def _take(self, stream_id: str, record: StreamRecord | None, revision: int) -> None:
        if record is None:
            self.remove(stream_id)
        else:
            self.put(record, revision)
