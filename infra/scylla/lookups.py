"""Comments by what they are found by, other than their seq: many keys in one question.

Each post asks by its key before it is published, and each request costs the process that asks more than anything else does,
for a row that is nearly always not there: of 32 at once each takes 378 us of the processor alone, and 93 together. So
while `READS` questions are under way the next ones gather, and then go together: those of one stream, at most `KEYS`,
whatever partitions they are in. A question that comes alone waits for nobody.
"""

import asyncio
from collections.abc import Iterable

from infra.answers import tell
from infra.errors import Unavailable
from infra.scylla import places
from infra.scylla.database import Database, Found
from infra.scylla.seqs import rows_at
from infra.scylla.wanted import COLUMNS

#: Keys of one question.
KEYS = 32
#: Questions under way, per handle.
READS = 4
#: Keys that wait; the next one is refused.
MAX_WAITING = 16_384
#: Rows of one question; a key has one, unless somebody has used it for many.
ROWS = 1000

_FOUND = f"SELECT key, seq FROM {{ks}}.lookups WHERE stream_id = ? AND part IN ? AND key IN ? LIMIT {ROWS}"  # noqa: S608 - our own constant
_ONE = f"SELECT seq FROM {{ks}}.lookups WHERE stream_id = ? AND part = ? AND key = ? LIMIT {ROWS}"  # noqa: S608 - our own constant
_AT = f"SELECT {COLUMNS} FROM {{ks}}.items WHERE stream_id = ? AND bucket = ? AND seq IN ?"  # noqa: S608 - our own constant

_Answer = asyncio.Future[list[Found]]


class Lookups:
    """Of one handle."""

    def __init__(self, database: Database) -> None:
        """*database*: where they are."""
        self._database = database
        #: stream -> key -> who waits for it.
        self._waiting: dict[str, dict[str, list[_Answer]]] = {}
        self._count = 0
        self._reading: set[asyncio.Task[None]] = set()

    def rows(self, stream_id: str, key: str) -> _Answer:
        """The rows of a stream that *key* leads to, ascending, as a future.

        Raises:
            Unavailable: too few nodes answer, or `MAX_WAITING` keys wait already.
        """
        if self._count >= MAX_WAITING:
            msg = f"{MAX_WAITING} questions for {self._database.address} are waiting"
            raise Unavailable(msg)
        answer: _Answer = asyncio.get_running_loop().create_future()
        theirs = self._waiting.setdefault(stream_id, {})
        self._count += key not in theirs
        theirs.setdefault(key, []).append(answer)
        if len(self._reading) < READS:
            task = asyncio.get_running_loop().create_task(self._read())
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
        return answer

    async def at(self, stream_id: str, seqs: Iterable[int]) -> list[Found]:
        """The rows at *seqs* that are there, ascending.

        Raises:
            Unavailable: too few nodes answer.
        """
        rows = [row for row in await rows_at(self._database, _AT, stream_id, seqs) if row.payload]
        return sorted(rows, key=lambda row: row.seq)

    async def _read(self) -> None:
        """Ask until nobody waits, one stream after the other."""
        while self._waiting:
            stream_id = next(iter(self._waiting))
            theirs = self._waiting.pop(stream_id)
            keys = list(theirs)[:KEYS]
            answers = {key: theirs.pop(key) for key in keys}
            self._count -= len(keys)
            if theirs:
                # Behind the other streams.
                self._waiting[stream_id] = theirs
            await tell(self._find(stream_id, keys), answers, [])

    async def _find(self, stream_id: str, keys: list[str]) -> dict[str, list[Found]]:
        parts = sorted({places.part_of(key) for key in keys})
        if len(keys) == 1:
            seqs = {keys[0]: [row.seq for row in await self._database.read(_ONE, stream_id, parts[0], keys[0])]}
        else:
            rows = await self._database.read(_FOUND, stream_id, parts, keys)
            if len(rows) == ROWS:
                # Somebody's key has taken the room of the others.
                alone = await asyncio.gather(*(self._find(stream_id, [key]) for key in keys))
                return {key: found for each in alone for key, found in each.items()}
            seqs = {}
            for row in rows:
                seqs.setdefault(row.key, []).append(row.seq)
        there = {row.seq: row for row in await self.at(stream_id, {seq for each in seqs.values() for seq in each})}
        return {key: [there[seq] for seq in sorted(each) if seq in there] for key, each in seqs.items()}
