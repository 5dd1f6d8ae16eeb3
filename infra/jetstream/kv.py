"""Buckets: revision-checked values, readable by the usual KV tooling, followed like a live log.

A bucket is a log `KV_<bucket>` that republishes `$KV.<bucket>.>` to `kv.<bucket>.>`. A follower reads everything once, then
takes the feed, and reads again after its last revision on reconnect and every few seconds: a lost last message announces
itself to nobody.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence

from msgspec import Struct

from infra.errors import Conflict, Unavailable
from infra.jetstream.connection import Connection, Subscription
from infra.jetstream.feed import Feed, FeedMessage
from infra.jetstream.publisher import WRONG_LAST_SEQ, Publisher, Refused
from infra.jetstream.reader import LogMessage, Reader
from infra.telemetry import logs

log = logs.get(__name__)

#: How often a follower looks for what its feed did not tell it.
RESYNC_S = 5.0


class Entry(Struct, frozen=True):
    """One key's value; `value` is `None` when the key was deleted or its limit marker says that it expired."""

    key: str
    value: bytes | None
    revision: int
    at_ms: int


class Bucket:
    """One bucket."""

    def __init__(self, name: str, connection: Connection, publisher: Publisher, reader: Reader) -> None:
        self.name = name
        self.log = f"KV_{name}"
        self._connection = connection
        self._publisher = publisher
        self._reader = reader

    async def get(self, key: str) -> Entry | None:
        """The newest entry, a deletion included; `None` when the key was never set or everything of it expired."""
        message = await self._reader.last(self.log, self._subject(key))
        return self._entry(message) if message else None

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The newest entries of those keys that have one.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        found = await self._reader.tails(self.log, [self._subject(key) for key in keys])
        entries = (self._entry(message) for message in found.values())
        return {entry.key: entry for entry in entries}

    async def under(self, prefix: str, after: int, limit: int) -> list[Entry]:
        """Entries below *prefix*, which ends with a dot, with a revision above *after*: the oldest, deletions included.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        found = await self._reader.follow_from(self.log, self._subject(f"{prefix}>"), after, limit)
        return [self._entry(message) for message in found]

    async def put(self, key: str, value: bytes | None, seconds: int | None = None) -> int:
        """Set a key whatever it was, or delete it (`None`), and return the revision; that is gone after so many *seconds*.

        Raises:
            Unavailable: nobody knows; the same again is safe.
        """
        headers = {} if seconds is None else {"Nats-TTL": f"{seconds}s"}
        if value is None:
            headers["KV-Operation"] = "DEL"
        return (await self._publisher.publish(self._subject(key), value or b"", uuid.uuid4().hex, headers)).seq

    async def create(self, key: str, value: bytes) -> int:
        """Set a key that does not exist and return its revision.

        Raises:
            Conflict: it exists.
            Unavailable: nobody knows; read before trying again.
        """
        try:
            return await self._put(key, value, 0)
        except Conflict:
            # A deleted or expired key still has a newest message, whose revision must be named.
            entry = await self.get(key)
            if entry is None or entry.value is not None:
                raise
            return await self._put(key, value, entry.revision)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Replace exactly *revision* and return the new one.

        Raises:
            Conflict: somebody else wrote first.
            Unavailable: nobody knows; read before trying again.
        """
        return await self._put(key, value, revision)

    async def delete(self, key: str, revision: int) -> int:
        """Delete exactly *revision* and return the deletion's own.

        Raises:
            Conflict: somebody else wrote first.
        """
        return await self._put(key, b"", revision, {"KV-Operation": "DEL"})

    async def _put(self, key: str, value: bytes, expected: int, headers: dict[str, str] | None = None) -> int:
        expectation = {"Nats-Expected-Last-Subject-Sequence": str(expected), **(headers or {})}
        msg_id = uuid.uuid4().hex
        try:
            ack = await self._publisher.publish(self._subject(key), value, msg_id, expectation)
        except Refused as refusal:
            if refusal.err_code != WRONG_LAST_SEQ:
                raise
        else:
            return ack.seq
        # nats-server checks the expectation before the Msg-Id, so a repetition of a write that was stored but whose
        # answer was lost looks like a conflict: whose write is there now tells the two apart. Its value does not: two
        # who take one lease in the same millisecond may write the same.
        there = await self._reader.last(self.log, self._subject(key))
        if there is not None and there.msg_id == msg_id:
            return there.seq
        msg = f"{self.name}/{key} is no longer at revision {expected}"
        raise Conflict(msg)

    async def follow(
        self,
        feed: Feed,
        take: Callable[[Entry], None],
        under: str = "",
        *,
        every_s: float = RESYNC_S,
        changes_only: bool = False,
    ) -> "Following":
        """Call *take* for the present value of every key, then for every change, in order of revision, each once.

        *under* limits it to keys below a prefix that ends with a dot; with *changes_only* present values are left out. What
        the feed loses is found within *every_s* seconds. Returns when the present values were taken.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        following = Following(self, feed, take, under, every_s)
        await following.start(changes_only=changes_only)
        return following

    async def newest(self) -> int:
        """The highest revision there is; 0 when there is none.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        message = await self._reader.last(self.log, self._subject(">"))
        return message.seq if message else 0

    def _subject(self, key: str) -> str:
        return f"$KV.{self.name}.{key}"

    def _entry(self, message: LogMessage) -> Entry:
        key = message.subject.removeprefix(f"$KV.{self.name}.")
        gone = "KV-Operation" in message.headers or "Nats-Marker-Reason" in message.headers
        return Entry(key, None if gone else message.payload, message.seq, message.at_ms)


class Following:
    """A running follow; `stop` ends it."""

    def __init__(self, bucket: Bucket, feed: Feed, take: Callable[[Entry], None], under: str, every_s: float) -> None:
        self._bucket = bucket
        self._under = under
        self._feed = feed
        self._take = take
        self._every_s = every_s
        self._clock = bucket._connection.clock  # noqa: SLF001 - the two are one part, in two classes
        self._last = 0
        #: When it was last known to have taken everything.
        self._complete_at = float("-inf")
        self._reading = asyncio.Lock()
        self._hint = asyncio.Event()
        self._subscription: Subscription | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def behind_s(self) -> float:
        """What was written longer ago than so many seconds has been taken."""
        return self._clock.monotonic() - self._complete_at

    async def start(self, *, changes_only: bool = False) -> None:
        """Take the present values, then follow.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        self._subscription = await self._feed.follow(f"kv.{self._bucket.name}.{self._under}>", self._hinted)
        if changes_only:
            self._last = await self._bucket.newest()
        await self.resync()
        self._bucket._connection.on_up(self.resync)  # noqa: SLF001 - the two are one part, in two classes
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop following."""
        self._bucket._connection.off_up(self.resync)  # noqa: SLF001 - as above
        if self._task:
            self._task.cancel()
        if self._subscription:
            await self._subscription.end()

    async def resync(self) -> None:
        """Take what came after the last revision that was taken.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        async with self._reading:
            began = self._clock.monotonic()
            reader, bucket = self._bucket._reader, self._bucket  # noqa: SLF001 - as above
            for message in await reader.follow_from(bucket.log, f"$KV.{bucket.name}.{self._under}>", self._last):
                if message.seq > self._last:
                    self._last = message.seq
                    self._take(bucket._entry(message))  # noqa: SLF001 - as above
            self._complete_at = began

    def _hinted(self, message: FeedMessage) -> None:
        # The feed only says that there is something: reading from the log keeps order and deletions in one place.
        if message.seq > self._last:
            self._hint.set()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._every_s):
                    await self._hint.wait()
            except TimeoutError:
                pass
            self._hint.clear()
            try:
                await self.resync()
            except Unavailable as error:
                log.debug("bucket not read; trying again", bucket=self._bucket.name, cause=str(error))
