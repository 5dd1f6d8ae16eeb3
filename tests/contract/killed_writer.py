"""A process that writes a batch as the archive does and stops before or after its commit, to be killed there.

python -m tests.contract.killed_writer DATABASE ITEMS before|after
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


async def main(path: Path, items: list[LoggedItem], through: int, when: str) -> None:
    """Write, say so, wait for the kill."""

    def work(db: sqlite3.Connection) -> None:
        # A page cache of ten pages makes SQLite spill the open transaction into the WAL, as a large batch does.
        db.execute("PRAGMA cache_size = 10")
        write_batch(db, items, {"LIVE_0": through})
        if when == "before":
            _stop(when)

    await (await Database.open(path)).write(work)
    _stop("after")


def _stop(when: str) -> None:
    print(f"{when} commit", flush=True)  # noqa: T201 - what the parent waits for
    signal.pause()


if __name__ == "__main__":
    handed, until = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=tuple[list[LoggedItem], int])
    asyncio.run(main(Path(sys.argv[1]), handed, until, sys.argv[3]))
