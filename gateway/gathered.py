"""Questions that come one by one and are asked together: each that a post asks by itself costs it more than its answer.

One that comes after a pause is asked at once, with what else came in the same turn of the loop. While others are under way,
and for some milliseconds after they left, the next ones gather.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Generic, TypeVar

from infra.errors import Unavailable

#: Between the beginnings of two questions, and how many may be under way.
GATHER_S = 0.003
AT_ONCE = 4
#: Keys of one.
MOST = 256
#: Who waits for longer when a question fails has waited for it, and is told with those who asked.
LONG_S = 0.5
#: Keys that wait; the next one is refused.
MAX_WAITING = 16_384

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Gathered(Generic[K, V]):
    """Of one kind of question."""

    def __init__(self, find: Callable[[list[K]], Awaitable[Mapping[K, V]]]) -> None:
        """*find* gives what is there, by key; what it raises all are told who asked with it, or waited long for it."""
        self._find = find
        #: Since when somebody waits for a key, and who.
        self._waiting: dict[K, tuple[float, list[asyncio.Future[V | None]]]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0

    def ask(self, key: K) -> "asyncio.Future[V | None]":
        """What is there for *key*, found after this was called; `None` where nothing is.

        Raises:
            Unavailable: `MAX_WAITING` keys wait already.
        """
        if len(self._waiting) >= MAX_WAITING:
            msg = f"{MAX_WAITING} questions for the store are waiting"
            raise Unavailable(msg)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[V | None] = loop.create_future()
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = waiting = loop.time(), []
        waiting[1].append(answer)
        self._schedule()
        return answer

    def _schedule(self) -> None:
        if self._timer is None and len(self._asking) < AT_ONCE:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._next - loop.time()), self._begin)

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        keys = list(itertools.islice(self._waiting, MOST))
        if not keys:
            # They were told meanwhile.
            return
        self._next = loop.time() + GATHER_S
        task = loop.create_task(self._tell({key: self._waiting.pop(key)[1] for key in keys}))
        self._asking.add(task)
        task.add_done_callback(self._ended)
        if self._waiting:
            self._schedule()

    async def _tell(self, asked: dict[K, list[asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._find(list(asked))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who asked are told
            # So are those who have waited long: they would wait as long again for a store that does not answer.
            before = asyncio.get_running_loop().time() - LONG_S
            long = list(itertools.takewhile(lambda key: self._waiting[key][0] < before, self._waiting))
            told = [*asked.values(), *(self._waiting.pop(key)[1] for key in long)]
            for answer in itertools.chain.from_iterable(told):
                if not answer.done():
                    answer.set_exception(error)
            return
        for key, answers in asked.items():
            there = found.get(key)
            for answer in answers:
                # Who asked may have left.
                if not answer.done():
                    answer.set_result(there)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._asking.discard(task)
        if self._waiting:
            self._schedule()
