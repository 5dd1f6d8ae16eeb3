"""An archive process that stops for ever inside its n-th write, before the commit, to be killed there.

python -m tests.integration.killed_archive NATS_URL DATABASE N
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.stores import LoggedItem
from tests.archives import archive
from tests.broker import broker


async def main(url: str, path: Path, stop_at: int) -> None:
    """Archive, then hang."""
    left = stop_at

    def hang(items: Sequence[LoggedItem]) -> None:
        nonlocal left
        left -= bool(items)
        if items and left == 0:
            print(f"holding {len(items)}", flush=True)  # noqa: T201 - what the parent waits for
            # The process and not the task: like SIGSTOP, it answers nothing any more.
            signal.pause()

    async with broker(url) as b, archive(b, path) as running:
        running.comments.before = hang
        await running.task


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
