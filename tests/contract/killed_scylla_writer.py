"""A process that writes a batch as the archive does and stops after some of its statements, to be killed there.

python -m tests.contract.killed_scylla_writer ITEMS
"""

import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from infra.scylla import Address, Database, ScyllaComments
from infra.scylla.database import Found
from infra.stores import LoggedItem


async def main(address: Address, items: list[LoggedItem], through: int, after: int) -> None:
    """Write, say where it is, wait for the kill."""
    database = await Database.open(address)
    execute = database._execute  # noqa: SLF001 - as below
    batches = 0

    async def counted(statement: object, profile: object) -> list[Found]:
        nonlocal batches
        # Reads have a profile of their own.
        batches += profile != "read"
        if batches > after:
            print("in the middle", flush=True)  # noqa: T201 - what the parent waits for
            signal.pause()
        return await execute(statement, profile)

    database._execute = counted  # type: ignore[method-assign]  # noqa: SLF001 - the writer stops where it is told to
    await ScyllaComments(database).write(items, {"LIVE_0": through})
    print("all of it is written", flush=True)  # noqa: T201 - what the parent waits for, or must not see
    signal.pause()


if __name__ == "__main__":
    handed = Path(sys.argv[1]).read_bytes()
    asyncio.run(main(*msgspec.json.decode(handed, type=tuple[Address, list[LoggedItem], int, int])))
