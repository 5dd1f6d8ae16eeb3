"""Fill a real file system of two megabytes with comments, make room, go on. Runs in a mount namespace of its own.

unshare --mount --map-root-user python -m tests.unit.infra.sqlite.full_disk FOLDER
"""

import asyncio
import subprocess
import sys
from pathlib import Path

from infra.errors import Unavailable
from infra.sqlite import Database, SqliteComments
from tests.contract.histories import LOG, S, logged
from tests.factories import comment


async def main(folder: Path) -> None:
    """Print how many comments were acknowledged, in the store after the failure, and after room was made."""
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * 500_000)
    database = await Database.open(folder / "ovation.sqlite")
    store = SqliteComments(database)
    stored = 0
    try:
        while stored < 20_000:
            await store.write([logged(comment(n), n) for n in range(stored + 1, stored + 101)], {LOG: stored + 100})
            stored += 100
    except Unavailable as error:
        print(error)  # noqa: T201 - read by the test
    print(stored, await store.total(S), await store.archived_through(LOG))  # noqa: T201 - as above
    ballast.unlink()
    await store.write([logged(comment(n), n) for n in range(stored + 1, stored + 101)], {LOG: stored + 100})
    print(await store.total(S), await store.archived_through(LOG))  # noqa: T201 - as above
    await database.close()


if __name__ == "__main__":
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", sys.argv[1]], check=True)
    asyncio.run(main(Path(sys.argv[1])))
