"""Read from a file whose end is lost meanwhile, as on a disk that fails. In a process of its own, which that may end.

python -m tests.unit.infra.sqlite.lost_pages FOLDER
"""

import asyncio
import sqlite3
import sys
from pathlib import Path

from infra.errors import Unavailable
from infra.sqlite import Database, SqliteComments
from tests.contract.histories import LOG, S, logged
from tests.factories import comment


async def main(path: Path) -> None:
    """Print what a read of the lost part says, and then how many it has once the part is back."""
    database = await Database.open(path)
    await SqliteComments(database).write([logged(comment(n, text="x" * 400), n) for n in range(1, 5001)], {LOG: 5000})
    # Whoever closes it last folds the write-ahead log into it.
    await database.close()
    database = await Database.open(path)
    with path.open("rb+") as file:
        whole = file.read()

        def lose(db: sqlite3.Connection) -> None:
            rows = db.execute("SELECT payload FROM items ORDER BY no, seq")
            rows.fetchone()
            file.truncate(len(whole) // 2)
            rows.fetchall()

        try:
            await database.read(lose)
        except Unavailable as error:
            print(error)  # noqa: T201 - read by the test
        file.seek(0)
        file.write(whole)
    # What was lost and then read as nothing may be held by the reader that saw it.
    await database.close()
    database = await Database.open(path)
    print(len(await SqliteComments(database).range(S, 0, 5000, 5000)))  # noqa: T201 - as above
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) / "ovation.sqlite"))
