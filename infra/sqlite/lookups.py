"""Comments by the key they were posted under, many in one read.

Each post asks this before it is published, and each question alone is a thread's turn (100 us of the loop's time, and the
thread waits for the interpreter at every statement). So while one read is under way, and for some milliseconds after it began,
the next questions gather; then they go together, as one statement. A question that comes after a pause waits for nobody.
"""

import asyncio
import itertools

from infra.answers import tell
from infra.errors import Unavailable
from infra.sqlite.database import Database
from infra.stores import StoredItem

#: Questions of one read. Few sizes, so that each statement is prepared once. What is left over asks for NULL, which costs more
#: than a key: 20 questions take 18 us among 32, 40 among 64 and 172 among 256.
SIZES = (1, 4, 16, 32, 64, 128, 256)
#: Between the beginnings of two reads.
GATHER_S = 0.003
#: Questions that wait; the next one is refused.
MAX_WAITING = 16_384

_Question = tuple[str, str]


def _statement(size: int) -> str:
    asked = ", ".join(["(?, ?)"] * size)
    return (
        f"WITH asked (stream_id, msg_id) AS (VALUES {asked}) "  # noqa: S608 - question marks
        "SELECT asked.stream_id, seq, at_ms, payload, removed, items.msg_id FROM asked "
        "CROSS JOIN tally ON tally.stream_id = asked.stream_id "
        "CROSS JOIN items INDEXED BY items_by_msg_id ON items.no = tally.no AND items.msg_id = asked.msg_id"
    )


STATEMENTS = {size: _statement(size) for size in SIZES}


class Lookups:
    """Of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[_Question, list[asyncio.Future[StoredItem | None]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._next = 0.0

    async def by_msg_id(self, stream_id: str, msg_id: str) -> StoredItem | None:
        """What was stored in a stream under *msg_id*; the first, should the log have taken it twice.

        Raises:
            Unavailable: the file cannot be read now, or `MAX_WAITING` questions wait already.
        """
        if len(self._waiting) >= MAX_WAITING:
            msg = f"{MAX_WAITING} questions for {self._database.path} are waiting"
            raise Unavailable(msg)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[StoredItem | None] = loop.create_future()
        self._waiting.setdefault((stream_id, msg_id), []).append(answer)
        if self._reading is None:
            self._reading = loop.create_task(self._read())
        return await answer

    async def _read(self) -> None:
        """Read until nobody waits."""
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                pause = self._next - loop.time()
                if pause > 0:
                    await asyncio.sleep(pause)
                self._next = loop.time() + GATHER_S
                chosen = list(itertools.islice(self._waiting, SIZES[-1]))
                answers = {question: self._waiting.pop(question) for question in chosen}
                await tell(self._find(chosen), answers, None)
        finally:
            self._reading = None

    async def _find(self, questions: list[_Question]) -> dict[_Question, StoredItem | None]:
        size = next(size for size in SIZES if len(questions) <= size)
        padded = [*questions, *[(None, None)] * (size - len(questions))]
        rows = await self._database.query(STATEMENTS[size], [value for question in padded for value in question])
        found: dict[_Question, StoredItem | None] = {}
        for stream_id, seq, at_ms, payload, removed, msg_id in rows:
            item = StoredItem(stream_id=stream_id, seq=seq, at_ms=at_ms, payload=payload, removed=removed, msg_id=msg_id)
            known = found.get((stream_id, msg_id))
            if known is None or seq < known.seq:
                found[stream_id, msg_id] = item
        return found
