"""How much memory a home of objects takes for a large one."""

import asyncio
import uuid
from pathlib import Path

from infra.objects.contract import ObjectStore

MB = 1_000_000
SIZE = 200 * MB


async def bounded(home: ObjectStore, folder: Path) -> None:
    """Put a file of 200 MB made in *folder*, and stream it: the process grows by less than 32 MB meanwhile."""
    file = folder / uuid.uuid4().hex
    try:
        with file.open("wb") as out:
            for n in range(200):
                out.write(bytes([n]) * MB)
        await home.put("warm/up", b"x" * MB)
        watch = asyncio.create_task(_watch())
        await home.put_file("s/film.mp4", file)
        size = 0
        async for piece in home.stream("s/film.mp4"):
            assert piece[0] == size // MB
            size += len(piece)
        watch.cancel()
        before, most = await watch
    finally:
        file.unlink(missing_ok=True)
    assert size == SIZE
    assert most - before < 32 * MB, f"{(most - before) / MB:.0f} MB"


async def _watch() -> tuple[int, int]:
    before = most = _resident()
    try:
        while True:
            most = max(most, _resident())
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.01)
    except asyncio.CancelledError:
        return before, most


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
