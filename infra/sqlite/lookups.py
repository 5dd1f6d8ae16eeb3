"""Comments by the key they were posted under, many in one statement.

Each by itself is a thread's turn (100 us of the loop's time, and the thread waits for the interpreter at every statement), so
who asks for many at once asks for all of them together.
"""

import itertools
from collections.abc import Collection

from infra.sqlite.database import Database
from infra.stores import StoredItem

#: Keys of one statement. Few sizes, so that each statement is prepared once. What is left over asks for NULL, which costs more
#: than a key: 20 questions take 18 us among 32, 40 among 64 and 172 among 256.
SIZES = (1, 4, 16, 32, 64, 128, 256)

_Asked = tuple[str, str]


def _statement(size: int) -> str:
    asked = ", ".join(["(?, ?)"] * size)
    return (
        f"WITH asked (stream_id, msg_id) AS (VALUES {asked}) "  # noqa: S608 - question marks
        "SELECT asked.stream_id, seq, at_ms, payload, removed, items.msg_id FROM asked "
        "CROSS JOIN tally ON tally.stream_id = asked.stream_id "
        "CROSS JOIN items INDEXED BY items_by_msg_id ON items.no = tally.no AND items.msg_id = asked.msg_id"
    )


STATEMENTS = {size: _statement(size) for size in SIZES}


async def by_msg_ids(database: Database, asked: Collection[_Asked]) -> dict[_Asked, StoredItem]:
    """What was stored in a stream under a Msg-Id, of those that were: the first, should the log have taken it twice.

    Raises:
        Unavailable: the file cannot be read now.
    """
    found: dict[_Asked, StoredItem] = {}
    rest = iter(dict.fromkeys(asked))
    while some := list(itertools.islice(rest, SIZES[-1])):
        size = next(size for size in SIZES if len(some) <= size)
        padded = [*some, *[(None, None)] * (size - len(some))]
        rows = await database.query(STATEMENTS[size], [value for each in padded for value in each])
        for stream_id, seq, at_ms, payload, removed, msg_id in rows:
            item = StoredItem(stream_id=stream_id, seq=seq, at_ms=at_ms, payload=payload, removed=removed, msg_id=msg_id)
            known = found.get((stream_id, msg_id))
            if known is None or seq < known.seq:
                found[stream_id, msg_id] = item
    return found
