"""Grants: who may watch what is not for everyone. Follows and invitations, a bucket each, one key per pair.

Gateways ask for single keys and follow what changes. A grant that is taken back leaves a trace for `TRACE_S`, which is what
tells gateways that were away.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from infra.clock import Clock
from infra.jetstream.feed import Feed
from infra.jetstream.kv import Bucket, Entry, Following
from schemas import codec, subjects

FOLLOWS = "follows"
INVITATIONS = "invitations"
#: No gateway is cut off from its broker for as long as that.
TRACE_S = 30 * 86_400
#: How often a gateway looks for what the feed did not tell it: what is taken back takes effect within 2 s.
RESYNC_S = 0.5


class Grant(Struct, frozen=True):
    """A person it was given to and when, in milliseconds since the epoch."""

    user_id: str
    at: int


class Held(Struct, frozen=True):
    """Whether a grant is held, as of a revision of its key; 0 where there never was one, or no trace of it is left."""

    held: bool
    revision: int


NEVER = Held(held=False, revision=0)


class Grants:
    """The grants of one bucket. A scope is what they are given for: a creator's party, or a stream's id."""

    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self.name = bucket.name
        self._bucket = bucket
        self._clock = clock

    async def give(self, scope: str, user_id: str, seconds: int | None = None) -> tuple[Grant, Held]:
        """Give it, for so many *seconds* or for good; one that is held keeps its time.

        Raises:
            Unavailable: not acknowledged; giving it again is safe.
        """
        # Written in any case: whoever answers the read may lag behind, and not know yet that it was taken back.
        grant = await self.get(scope, user_id) or Grant(user_id, self._clock.now_ms())
        revision = await self._bucket.put(subjects.grant(scope, subjects.party(user_id)), codec.encode(grant), seconds)
        return grant, Held(held=True, revision=revision)

    async def take_back(self, scope: str, user_id: str) -> Held:
        """Take it back, held or not.

        Raises:
            Unavailable: not acknowledged; taking it back again is safe.
        """
        revision = await self._bucket.put(subjects.grant(scope, subjects.party(user_id)), None, TRACE_S)
        return Held(held=False, revision=revision)

    async def get(self, scope: str, user_id: str) -> Grant | None:
        """One grant, if it is held.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        entry = await self._bucket.get(subjects.grant(scope, subjects.party(user_id)))
        return None if entry is None or entry.value is None else _grant(entry.value)

    async def page(self, scope: str, after: int, limit: int) -> list[tuple[Grant, int]]:
        """Grants of a scope with their revisions, in the order they were given, from those above the revision *after*.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        found: list[tuple[Grant, int]] = []
        while len(found) < limit:
            entries = await self._bucket.under(f"{scope}.", after, limit)
            found += [(_grant(entry.value), entry.revision) for entry in entries if entry.value is not None]
            if len(entries) < limit:
                break
            after = entries[-1].revision
        return found[:limit]

    async def held(self, keys: Sequence[str]) -> dict[str, Held]:
        """What is held of *keys* (see `subjects.grant`).

        Raises:
            Unavailable: the bucket cannot be read.
        """
        there = await self._bucket.get_many(keys)
        found = {key: Held(held=entry.value is not None, revision=entry.revision) for key, entry in there.items()}
        return {key: found.get(key, NEVER) for key in keys}

    async def follow(self, feed: Feed, take: Callable[[str, Held], None]) -> Following:
        """Call *take* with key and state of every change from now on.

        Raises:
            Unavailable: the bucket cannot be read.
        """

        def taken(entry: Entry) -> None:
            take(entry.key, Held(held=entry.value is not None, revision=entry.revision))

        return await self._bucket.follow(feed, taken, every_s=RESYNC_S, changes_only=True)


def _grant(value: bytes) -> Grant:
    return msgspec.json.decode(value, type=Grant)
