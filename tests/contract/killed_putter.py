"""A process that puts large objects into a folder without end, to be killed in the middle of one.

python -m tests.contract.killed_putter FOLDER
"""

import asyncio
import sys
from pathlib import Path

from infra.objects.folder import Folder

SIZE = 30_000_000


async def main(root: Path) -> None:
    """Put, say so after the first, and go on."""
    home, n = Folder(root), 0
    while True:
        await home.put(f"s/{n % 3}", bytes([n % 256]) * SIZE)
        n += 1
        print(n, flush=True)  # noqa: T201 - what the parent waits for


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
