"""What this gateway knows of the grants of one bucket: asked for once, then kept in step; bounded."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from infra.errors import Unavailable
from infra.jetstream.feed import Feed
from infra.jetstream.grants import RESYNC_S, Grant, Grants, Held
from infra.jetstream.kv import Following
from infra.telemetry import metrics
from schemas import subjects

#: Grants that are known, held or not, about 300 bytes each: every viewer of a gateway twice. The one asked for the longest ago
#: goes first.
MOST = 100_000
#: What is known is believed while everything written longer ago than this is known too; after that it is asked for.
BELIEVED_S = 4 * RESYNC_S
#: Keys asked for at once, of all who ask in the same turn of the loop.
BATCH = 512
#: A broker that does not answer is asked again for so long, with pauses: a reconnect is a delay to people, and no error.
HOLD_S = 3.0
PAUSE_S = 0.2


class Granted:
    """One per bucket. `on_taken_back` is called with the scope of each grant that is taken back, anywhere."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._known: OrderedDict[str, Held] = OrderedDict()
        self._asked: dict[str, asyncio.Future[bool]] = {}
        self._next: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: Following | None = None
        self.on_taken_back: Callable[[str], None] = lambda _: None

    async def start(self, feed: Feed) -> None:
        """Follow what changes; once, however often it is called.

        Raises:
            Unavailable: the broker is away.
        """
        if self._following is None:
            self._following = await self._grants.follow(feed, self.learn)

    async def stop(self) -> None:
        """Stop following."""
        if self._following is not None:
            await self._following.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def known(self, scope: str, party: str) -> bool | None:
        """Whether *party* holds a grant of *scope*; `None` when that has to be asked for."""
        if self._following is None or self._following.behind_s > BELIEVED_S:
            return None
        key = subjects.grant(scope, party)
        found = self._known.get(key)
        if found is None:
            return None
        self._known.move_to_end(key)
        return found.held

    async def ask(self, scope: str, party: str) -> bool:
        """The same; asked for where it is not known, once for all who ask.

        Raises:
            Unavailable: nobody can say.
        """
        known = self.known(scope, party)
        if known is not None:
            return known
        key = subjects.grant(scope, party)
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.get_running_loop().create_future()
            self._next.append(key)
            if len(self._next) == 1:
                asyncio.get_running_loop().call_soon(self._send)
        return await asyncio.shield(asked)

    async def give(self, scope: str, user_id: str, seconds: int | None = None) -> Grant:
        """Give a grant, for so many *seconds* or for good; this gateway knows it at once, all others in a moment.

        Raises:
            Unavailable: not acknowledged; giving it again is safe.
        """
        grant, held = await self._grants.give(scope, user_id, seconds)
        self.learn(subjects.grant(scope, subjects.party(user_id)), held)
        return grant

    async def take_back(self, scope: str, user_id: str) -> None:
        """Take a grant back, held or not.

        Raises:
            Unavailable: not acknowledged; taking it back again is safe.
        """
        held = await self._grants.take_back(scope, user_id)
        self.learn(subjects.grant(scope, subjects.party(user_id)), held)

    async def get(self, scope: str, user_id: str) -> Grant | None:
        """A grant as it is, if it is held.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        return await self._grants.get(scope, user_id)

    async def page(self, scope: str, after: int, limit: int) -> list[tuple[Grant, int]]:
        """Grants of a scope with their revisions, in the order they were given, from those above the revision *after*.

        Raises:
            Unavailable: the bucket cannot be read.
        """
        return await self._grants.page(scope, after, limit)

    def learn(self, key: str, held: Held) -> None:
        """Take note of a change, whether or not anybody has asked: an answer on its way may be older than it."""
        former = self._known.get(key)
        if former is None or former.revision < held.revision:
            self._keep(key, held)
        if not held.held:
            self.on_taken_back(key.partition(".")[0])

    def _send(self) -> None:
        while self._next:
            keys, self._next = self._next[:BATCH], self._next[BATCH:]
            task = asyncio.get_running_loop().create_task(self._read(keys))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _read(self, keys: list[str]) -> None:
        metrics.GRANTS_ASKED.inc(len(keys))
        failure: Exception = Unavailable(f"the {self._grants.name} cannot be read")
        found: dict[str, Held] | None = None
        try:
            async with asyncio.timeout(HOLD_S):
                while found is None:
                    try:
                        found = await self._grants.held(keys)
                    except Unavailable as error:
                        failure = error
                        await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            pass
        finally:
            for key in keys:
                asked = self._asked.pop(key)
                if found is None:
                    asked.set_exception(failure)
                    # Nobody may be there to hear it any more.
                    asked.exception()
                else:
                    asked.set_result(self._noted(key, found[key]))

    def _noted(self, key: str, held: Held) -> bool:
        """What holds of an answer: whoever gave it may lag behind what was told since."""
        former = self._known.get(key)
        if former is not None and former.revision > held.revision:
            return former.held
        self._keep(key, held)
        return held.held

    def _keep(self, key: str, held: Held) -> None:
        self._known[key] = held
        self._known.move_to_end(key)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
