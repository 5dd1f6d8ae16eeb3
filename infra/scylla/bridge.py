"""The driver's answers, brought to the event loop: many with one wake-up, no thread per request.

The driver calls back on its own thread. A request holds its slot until then, also when whoever asked has left: the driver
cannot take a request back, and a cluster that hangs would otherwise be sent ever more.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from cassandra.cluster import ResponseFuture, Session
from cassandra.query import Statement

from infra.errors import Unavailable

#: Requests under way per process. Two cores saturate at some 30; the rest covers a cluster's latency.
IN_FLIGHT = 128
#: Requests that wait for a slot; the next one is refused. A batch of 10,000 items of as many streams asks for 30,000 at once.
MAX_WAITING = 32_768


class Bridge:
    """Between one driver session and one event loop."""

    def __init__(
        self,
        session: Session,
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[ResponseFuture, BaseException | None], None] = lambda _request, _error: None,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        """*ended* is called with each request that is over, and its error, on the driver's thread."""
        self._session = session
        self._ended = ended
        self._loop = loop
        self._slots = asyncio.Semaphore(in_flight)
        self._waiting = 0
        self._done: deque[tuple[asyncio.Future[list[Any]], list[Any], BaseException | None]] = deque()
        self._lock = threading.Lock()
        self._armed = False

    async def execute(self, statement: Statement, profile: object) -> list[Any]:
        """Run one statement; the rows of its first page.

        Raises the driver's own errors.

        Raises:
            Unavailable: `MAX_WAITING` wait already.
        """
        if self._waiting >= MAX_WAITING:
            msg = f"{MAX_WAITING} requests for the store are waiting: it is too slow for what is asked of it"
            raise Unavailable(msg)
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        answer: asyncio.Future[list[Any]] = self._loop.create_future()
        try:
            sent = self._session.execute_async(statement, execution_profile=profile)
        except BaseException:
            self._slots.release()
            raise

        def end(rows: list[Any] | None, error: BaseException | None) -> None:
            self._ended(sent, error)
            self._push(answer, rows, error)

        sent.add_callbacks(lambda rows: end(rows, None), lambda error: end([], error))
        return await answer

    def _push(self, answer: asyncio.Future[list[Any]], rows: list[Any] | None, error: BaseException | None) -> None:
        with self._lock:
            self._done.append((answer, rows or [], error))
            if self._armed:
                return
            self._armed = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            # The loop is closed; nobody waits.
            return

    def _drain(self) -> None:
        with self._lock:
            done, self._done, self._armed = self._done, deque(), False
        for answer, rows, error in done:
            self._slots.release()
            if answer.done():
                continue
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(rows)
