"""A page far into a stream is found, not walked to."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from infra.sqlite import Database, SqliteComments
from tests.contract.histories import END, S, logged
from tests.factories import comment

COMMENTS = 6000


async def steps(database: Database, ask: Callable[[], Awaitable[object]]) -> int:
    """How many tens of SQLite's instructions *ask* takes, of a database with one reader."""
    taken = [0]

    def count() -> int:
        taken[0] += 1
        return 0

    await ask()
    await database.read(lambda db: db.set_progress_handler(count, 10))
    await ask()
    await database.read(lambda db: db.set_progress_handler(None, 10))
    return taken[0]


async def test_an_offset_is_a_jump(tmp_path: Path) -> None:
    """Both ways, from an end and from a cursor: passing over five thousand comments costs about what passing over none does."""
    database = await Database.open(tmp_path / "store.sqlite", readers=1)
    store = SqliteComments(database)
    await store.write([logged(comment(n), 2 * n) for n in range(1, COMMENTS + 1)], {})

    async def page(*, descending: bool, offset: int, cursor: int = 0) -> list[int]:
        after, before = (0, cursor or END) if descending else (cursor, END)
        found = await store.comments(S, after=after, before=before, descending=descending, limit=50, offset=offset)
        return [item.seq for item in found]

    for descending in (False, True):
        for cursor in (0, 1501 if not descending else 2 * COMMENTS - 1501):
            plain = await steps(database, lambda: page(descending=descending, offset=0, cursor=cursor))  # noqa: B023 - asked at once
            deep = await steps(database, lambda: page(descending=descending, offset=5000, cursor=cursor))  # noqa: B023 - asked at once
            assert deep < 3 * plain, (descending, cursor)
            wanted = range(2, 2 * COMMENTS + 1, 2)[:: -1 if descending else 1]
            rest = [seq for seq in wanted if not cursor or (seq < cursor if descending else seq > cursor)]
            assert await page(descending=descending, offset=5000, cursor=cursor) == rest[5000:5050]
    await database.close()
