"""Which media worker owns which stream's video: key `media.<stream_id>` of the bucket `leases` (architecture rule 8).

Whoever takes a stream has it at once, also from a worker that still renews: an encoder connects where it can, and its newest
connection is the one that counts. The revision of that write is the owner's *generation*, above every owner's before. Whoever
lost a stream learns it from the feed, at the latest from its next renewal; and one that was paused knows by its own clock
that it may hold nothing any more.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from infra.clock import Clock
from infra.errors import Conflict, Unavailable
from infra.jetstream.feed import Feed
from infra.jetstream.kv import Bucket, Entry, Following
from infra.telemetry import logs

#: A stream is written for this long after the last renewal that was stored; less than the bucket's max_age of 15 s.
HELD_S = 10.0
RENEW_S = 3.0
#: While the broker is away.
AGAIN_S = 0.5
#: Others may take the key between our reading and our writing it; more than a few times in a row is a fight.
_TRIES = 8


class Owner(msgspec.Struct):
    """The value. *origin* is where its playlists are served; *generation* is 0 for the moment until it is known."""

    worker: str
    generation: int
    origin: str


def lease_key(stream_id: str) -> str:
    """The key of a stream's lease."""
    return f"media.{stream_id}"


class StreamLease:
    """One stream, owned."""

    def __init__(self, leases: "StreamLeases", stream_id: str, lost: Callable[[], None]) -> None:
        self.generation = 0
        self.revision = 0
        self.stream_id = stream_id
        self.held_until = 0.0
        self.lost = lost
        self._leases = leases

    @property
    def held(self) -> bool:
        """Whether the stream may be written now."""
        return self._leases.clock.monotonic() < self.held_until

    async def release(self) -> None:
        """Give the stream up; nobody owns it then."""
        await self._leases.release(self)


class StreamLeases:
    """All streams this worker owns. Renewed by one task, which runs while there are any."""

    def __init__(self, bucket: Bucket, feed: Feed, clock: Clock, worker: str, origin: str) -> None:
        """*worker* is told to people who look, *origin* to gateways."""
        self.clock = clock
        self._bucket = bucket
        self._feed = feed
        self._worker = worker
        self._origin = origin
        self._leases: dict[str, StreamLease] = {}
        self._following: Following | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._log = logs.get(__name__)

    async def take(self, stream_id: str, lost: Callable[[], None]) -> StreamLease:
        """Own *stream_id* from now on; *lost* is called once when somebody else does.

        Raises:
            Unavailable: the bucket does not answer, or others keep taking the stream.
        """
        if self._following is None:
            self._following = await self._bucket.follow(self._feed, self._seen)
        lease = StreamLease(self, stream_id, lost)
        asked = self.clock.monotonic()
        lease.revision = lease.generation = await self._claim(lease_key(stream_id))
        lease.held_until = asked + HELD_S
        self._leases[stream_id] = lease
        # The value can name its generation only once the write has one.
        with contextlib.suppress(Conflict, Unavailable):
            await self._renew(lease)
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._keep())
        self._log.info("stream taken", stream_id=stream_id, generation=lease.generation)
        return lease

    async def owned(self, stream_id: str) -> bool:
        """Whether any worker owns *stream_id*; one that died does until its key expires.

        Raises:
            Unavailable: the bucket does not answer.
        """
        entry = await self._bucket.get(lease_key(stream_id))
        return entry is not None and entry.value is not None

    async def release(self, lease: StreamLease) -> None:
        """Give *lease* up."""
        lease.held_until = 0.0
        if self._leases.get(lease.stream_id) is not lease:
            return
        del self._leases[lease.stream_id]
        with contextlib.suppress(Conflict, Unavailable):
            await self._bucket.delete(lease_key(lease.stream_id), lease.revision)

    async def close(self) -> None:
        """Stop renewing and watching; what is held runs out."""
        if self._renewing is not None:
            self._renewing.cancel()
        if self._following is not None:
            await self._following.stop()

    async def _claim(self, key: str) -> int:
        for _ in range(_TRIES):
            with contextlib.suppress(Conflict):
                entry = await self._bucket.get(key)
                if entry is None:
                    return await self._bucket.create(key, self._value(0))
                return await self._bucket.update(key, self._value(0), entry.revision)
        msg = "other workers keep taking this stream"
        raise Unavailable(msg)

    async def _renew(self, lease: StreamLease) -> None:
        asked = self.clock.monotonic()
        value = self._value(lease.generation)
        revision = await self._bucket.update(lease_key(lease.stream_id), value, lease.revision)
        lease.revision = revision
        if lease.held_until:
            lease.held_until = asked + HELD_S

    async def _keep(self) -> None:
        wait_s = RENEW_S
        while self._leases:
            await asyncio.sleep(wait_s)
            wait_s = RENEW_S
            for lease in list(self._leases.values()):
                try:
                    await self._renew(lease)
                except Conflict:
                    self._lose(lease)
                except Unavailable as error:
                    self._log.warning("stream lease not renewed", stream_id=lease.stream_id, cause=str(error))
                    wait_s = AGAIN_S

    def _seen(self, entry: Entry) -> None:
        """Somebody wrote a lease: ours is lost when the writer is not us."""
        lease = self._leases.get(entry.key.removeprefix("media."))
        if lease is None or entry.revision <= lease.revision or not entry.key.startswith("media."):
            return
        if entry.value is not None and msgspec.json.decode(entry.value, type=Owner).worker != self._worker:
            self._lose(lease)

    def _lose(self, lease: StreamLease) -> None:
        if self._leases.get(lease.stream_id) is lease:
            del self._leases[lease.stream_id]
            lease.held_until = 0.0
            lease.lost()

    def _value(self, generation: int) -> bytes:
        return msgspec.json.encode(Owner(self._worker, generation, self._origin))
