"""A process that writes a batch as the archive does and stops inside the transaction, to be killed there.

python -m tests.contract.killed_writer DATABASE ITEMS
"""

import asyncio
import signal
import sqlite3
import sys
from pathlib import Path

import msgspec

from infra.sqlite import Database
from infra.sqlite.batch import write_batch
from infra.stores import LoggedItem


async def main(path: Path, items: list[LoggedItem], through: int) -> None:
    """Write, say so, wait for the kill."""

    def work(db: sqlite3.Connection) -> None:
        # A page cache of ten pages makes SQLite spill the open transaction into the WAL, as a large batch does.
        db.execute("PRAGMA cache_size = 10")
        write_batch(db, items, {"LIVE_0": through})
        print("before commit", flush=True)  # noqa: T201 - what the parent waits for
        signal.pause()

    await (await Database.open(path)).write(work)


if __name__ == "__main__":
    handed, until = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=tuple[list[LoggedItem], int])
    asyncio.run(main(Path(sys.argv[1]), handed, until))
