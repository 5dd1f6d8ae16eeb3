"""A stream leaves the database, some rows at a time: writes of all other streams go on in between."""

import sqlite3

from infra.sqlite.database import Database

#: Rows of one transaction: some 20 ms.
ROWS = 5_000
_SOME = "DELETE FROM items WHERE no = ? AND seq IN (SELECT seq FROM items WHERE no = ? LIMIT ?)"


async def forget(database: Database, stream_id: str) -> None:
    """Delete all rows of *stream_id*. Idempotent.

    Raises:
        infra.errors.Unavailable: any part of it may be done; do it again.
    """
    found = await database.read(lambda db: db.execute("SELECT no FROM tally WHERE stream_id = ?", (stream_id,)).fetchone())
    if found is None:
        return
    number = found[0]
    while await database.write(lambda db: db.execute(_SOME, (number, number, ROWS)).rowcount) == ROWS:
        pass

    def rest(db: sqlite3.Connection) -> None:
        for table in ("items", "verdicts", "purges", "spans", "ranks", "decisions", "erased", "tally"):
            db.execute(f"DELETE FROM {table} WHERE no = ?", (number,))  # noqa: S608 - our own names

    await database.write(rest)
