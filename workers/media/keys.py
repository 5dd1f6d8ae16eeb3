"""Stream keys and video states, answered from the stream records: a `BroadcastRegistry` over KV.

A key names its stream (`<stream id>_<secret>`): one read finds the record, which has only the SHA-256 of the key.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

import msgspec

from infra.clock import Clock
from infra.errors import Conflict, Missing, Unavailable
from infra.jetstream.feed import Feed
from infra.jetstream.streams import StreamRecords
from schemas.records import Recorded, StreamRecord, key_matches, stream_of_key
from schemas.streamid import is_stream_id
from workers.media.streams import Authorised, KeyRefused, StreamChanged, VideoState

_UNKNOWN = "Unknown stream key."
#: Longer than any key we make (80 characters): nothing longer is hashed.
MAX_KEY = 200


class Keys:
    """The registry of one media worker."""

    def __init__(self, records: StreamRecords, feed: Feed, clock: Clock) -> None:
        self._records = records
        self._feed = feed
        self._clock = clock
        self._live: set[str] = set()
        self._followed = False
        # One entry per stream: what changed twice before it was looked at is looked at once.
        self._changes: dict[str, StreamChanged] = {}
        self._changed = asyncio.Event()

    async def authorise(self, key: str) -> Authorised:
        """Find the stream of *key*; a scheduled stream starts by it.

        Raises:
            KeyRefused: unknown, rotated, or the stream has ended. Unknown streams and wrong secrets read the same.
            Unavailable: the record cannot be read or written.
        """
        stream_id = stream_of_key(key)
        if len(key) > MAX_KEY or not is_stream_id(stream_id):
            raise KeyRefused(_UNKNOWN)
        found = await self._records.get(stream_id)
        if found is None or not key_matches(found[0], key):
            raise KeyRefused(_UNKNOWN)
        record = found[0]
        if record.status == "scheduled":
            record = await self._start(key, stream_id)
        if record.status == "ended":
            msg = "The stream has ended; start a new one."
            raise KeyRefused(msg)
        return Authorised(stream_id, record.key_sha256)

    async def _start(self, key: str, stream_id: str) -> StreamRecord:
        def decide(record: StreamRecord) -> StreamRecord | None:
            if record.status != "scheduled" or not key_matches(record, key):
                return None
            return _with(record, status="live", started_at=self._clock.now_ms(), change="settings")

        try:
            record, _ = await self._records.change(stream_id, decide)
        except Missing as error:
            raise KeyRefused(_UNKNOWN) from error
        except Conflict as error:
            raise Unavailable(str(error)) from error
        if not key_matches(record, key):
            raise KeyRefused(_UNKNOWN)
        return record

    async def video(self, stream_id: str, state: VideoState, qualities: Sequence[str]) -> None:
        """Write the video's state. Does nothing for a stream that is gone or over, or whose video never began."""

        def decide(record: StreamRecord) -> StreamRecord | None:
            return _showing(record, state, qualities)

        await self._change(stream_id, decide)

    async def recorded(self, stream_id: str, recorded: Recorded | None) -> None:
        """Write into an ended stream's record what can be played of it; the same a second time is no change."""

        def decide(record: StreamRecord) -> StreamRecord | None:
            before = record.recording
            if record.status != "ended" or before == recorded:
                return None
            if before is not None and recorded is not None and _alike(before, recorded):
                return None
            return _with(record, recording=recorded, poster=record.poster or recorded is not None, change="recording")

        await self._change(stream_id, decide)

    async def pictured(self, stream_id: str) -> None:
        """Write into the record that there are a poster and a strip."""

        def decide(record: StreamRecord) -> StreamRecord | None:
            return None if record.poster and record.strip else _with(record, poster=True, strip=True, change="")

        await self._change(stream_id, decide)

    async def _change(self, stream_id: str, decide: Callable[[StreamRecord], StreamRecord | None]) -> None:
        try:
            await self._records.change(stream_id, decide)
        except Missing:
            return
        except Conflict as error:
            raise Unavailable(str(error)) from error

    async def live(self) -> Sequence[str]:
        """The streams whose record says that their video is live.

        Raises:
            Unavailable: the records were not read yet.
        """
        if not self._followed:
            msg = "the stream records were not read yet"
            raise Unavailable(msg)
        return sorted(self._live)

    async def watch(self) -> AsyncGenerator[StreamChanged, None]:
        """Yield every stream as it is, then each change.

        Raises:
            Unavailable: the records cannot be read.
        """
        following = await self._records.follow(self._feed, self._taken)
        self._followed = True
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                changes, self._changes = self._changes, {}
                for change in changes.values():
                    yield change
        finally:
            await following.stop()

    def _taken(self, stream_id: str, record: StreamRecord | None, _revision: int) -> None:
        if record is None:
            self._live.discard(stream_id)
            self._changes[stream_id] = StreamChanged(stream_id, "", ended=True, deleted=True)
        else:
            shows = record.status == "live" and record.video == "live"
            (self._live.add if shows else self._live.discard)(stream_id)
            self._changes[stream_id] = StreamChanged(
                stream_id,
                record.key_sha256,
                ended=record.status == "ended",
                shown=bool(record.qualities),
                ended_ms=record.ended_at,
                recorded_ms=record.recording.created_at if record.recording is not None else None,
            )
        self._changed.set()


def _showing(record: StreamRecord, state: VideoState, qualities: Sequence[str]) -> StreamRecord | None:
    """The record with the video in *state*; `None` when that changes nothing."""
    if record.status != "live":
        return None
    if state == "live":
        if record.video == "live" and record.qualities == list(qualities):
            return None
        return _with(record, video=state, qualities=list(qualities), change="live" if record.video != "live" else "")
    if record.video in (state, "waiting"):
        return None
    return _with(record, video=state, change="interrupted" if state == "interrupted" else "")


def _alike(before: Recorded, after: Recorded) -> bool:
    """Whether both are of the same segments, and the second adds nothing that could not be made the first time."""
    gained = (after.mp4 and not before.mp4) or (after.pictures and not before.pictures)
    return before.version == after.version and before.duration_ms == after.duration_ms and not gained


def _with(record: StreamRecord, **changed: object) -> StreamRecord:
    return msgspec.structs.replace(record, **changed)
