"""Which worker owns a stream's video: the leases, followed, so that no viewer's request asks anybody.

A lease that nobody renews leaves no trace when it goes. Whoever is named stays the owner until another is: a worker that is
gone does not answer, and one that is the owner no longer says so.
"""

import asyncio
from collections import OrderedDict

import msgspec

from infra.jetstream.feed import Feed
from infra.jetstream.kv import Bucket, Entry, Following
from infra.jetstream.streamleases import Owner, lease_key
from infra.telemetry import logs

log = logs.get(__name__)

_UNDER = lease_key("")
#: Owners that are known, about 500 bytes each. Whoever renewed the longest ago goes first, and is known again when it renews.
MOST = 100_000


class Owners:
    """A cache of the leases; the bucket is the authority."""

    def __init__(self, leases: Bucket) -> None:
        self._leases = leases
        self._owners: OrderedDict[str, Owner] = OrderedDict()
        self._moves: dict[str, asyncio.Future[None]] = {}
        self._following: Following | None = None

    async def start(self, feed: Feed) -> None:
        """Read all leases on video and follow them.

        Raises:
            Unavailable: the broker is away.
        """
        self._following = await self._leases.follow(feed, self.take, under=_UNDER)

    async def stop(self) -> None:
        """Stop following."""
        if self._following:
            await self._following.stop()

    def of(self, stream_id: str) -> Owner | None:
        """The worker that owned the stream last, as far as is known here."""
        return self._owners.get(stream_id)

    def moved(self, stream_id: str) -> "asyncio.Future[None]":
        """Done as soon as another worker, or none, owns the stream; shared, so never cancel it."""
        move = self._moves.get(stream_id)
        if move is None:
            move = self._moves[stream_id] = asyncio.get_running_loop().create_future()
        return move

    def take(self, entry: Entry) -> None:
        """Take note of a lease's value."""
        stream_id = entry.key.removeprefix(_UNDER)
        try:
            owner = msgspec.json.decode(entry.value, type=Owner) if entry.value is not None else None
        except msgspec.MsgspecError as error:
            log.error("unreadable lease skipped", key=entry.key, cause=str(error))
            return
        if owner == self._owners.get(stream_id):
            if owner is not None:
                # Renewed.
                self._owners.move_to_end(stream_id)
            return
        if owner is None:
            del self._owners[stream_id]
        else:
            self._owners[stream_id] = owner
            self._owners.move_to_end(stream_id)
        self._move(stream_id)
        if len(self._owners) > MOST:
            forgotten, _ = self._owners.popitem(last=False)
            self._move(forgotten)

    def _move(self, stream_id: str) -> None:
        if (move := self._moves.pop(stream_id, None)) is not None:
            move.set_result(None)
