"""A folder keeps the promises of a home of objects, and some of a folder."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import Missing, Unavailable
from infra.objects.contract import ObjectStore
from infra.objects.folder import WRITING, Folder
from tests.contract.killed_putter import SIZE
from tests.contract.memory import bounded
from tests.contract.object_store import ObjectStoreContract
from tests.disks import small_disk
from tests.waits import eventually


class TestFolder(ObjectStoreContract):
    """The whole contract."""

    @pytest.fixture
    def home(self, tmp_path: Path) -> ObjectStore:
        """A folder that does not exist yet."""
        return Folder(tmp_path / "media")

    @pytest.fixture
    def another(self, tmp_path: Path) -> ObjectStore:
        """As another process has it."""
        return Folder(tmp_path / "media")


async def listed(home: Folder, prefix: str = "") -> list[str]:
    """Names."""
    return [each.name async for each in home.list(prefix)]


@pytest.mark.parametrize("seed", range(4))
async def test_a_killed_writer_leaves_nothing_half_written(tmp_path: Path, seed: int) -> None:
    """Kill -9 at any moment of a put: what is listed is whole; what is left over is nobody's object, and goes after a day."""
    command = ("-m", "tests.contract.killed_putter", str(tmp_path))
    writer = await asyncio.create_subprocess_exec(sys.executable, *command, stdout=asyncio.subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(seed + 1):
        await writer.stdout.readline()
    # The next one is being written: its file is there, under a name that is none.
    await eventually(lambda: any((tmp_path / WRITING).iterdir()))
    writer.kill()
    assert await writer.wait() == -signal.SIGKILL

    home = Folder(tmp_path)
    found = [each async for each in home.list("")]
    assert found
    for each in found:
        data = await home.read(each.name)
        assert len(data) == each.size == SIZE
        assert data == data[:1] * SIZE
    left = list((tmp_path / WRITING).iterdir())
    for path in left:
        os.utime(path, (0, 0))
    await Folder(tmp_path).put("s/new", b"")
    assert list((tmp_path / WRITING).iterdir()) == []


async def test_a_file_is_renamed(tmp_path: Path) -> None:
    """On the same disk it is the very file: nothing is copied, and it is gone from where it was."""
    file = tmp_path / "spool"
    file.write_bytes(b"x" * 1000)
    inode = file.stat().st_ino
    await Folder(tmp_path / "media").put_file("s/film.mp4", file)
    assert (tmp_path / "media/s/film.mp4").stat().st_ino == inode
    assert not file.exists()


async def test_links_lead_nowhere(tmp_path: Path) -> None:
    """What a symbolic link leads to is neither listed, read, replaced nor deleted."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    media = tmp_path / "media"
    media.mkdir()
    (media / "way").symlink_to(outside)
    (media / "file").symlink_to(outside / "secret")
    home = Folder(media)
    assert await listed(home) == []
    assert await listed(home, "way") == []
    for name in ("way/secret", "file"):
        assert await home.facts(name) is None
        with pytest.raises(Missing):
            await home.read(name)
    with pytest.raises(Unavailable, match="symbolic link"):
        await home.put("way/new", b"x")
    await home.delete(["way/secret"])
    await home.put("file", b"an object of its own")
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    with small_disk(tmp_path / "small", "4m") as folder:
        yield folder


async def test_a_full_disk(small: Path, tmp_path: Path) -> None:
    """Refused with the cause and the next step, by a put and by a file from another disk, which stays; then it goes on."""
    home = Folder(small / "media")
    await home.put("s/first", b"x" * 3_000_000)
    file = tmp_path / "spool"
    file.write_bytes(b"y" * 3_000_000)
    for call in (home.put("s/second", b"y" * 3_000_000), home.put_file("s/second", file)):
        with pytest.raises(Unavailable, match=r"small.* is full .*free space.*OVATION_MEDIA_URL"):
            await call
    assert await listed(home) == ["s/first"]
    assert list((small / "media" / WRITING).iterdir()) == []
    await home.delete(["s/first"])
    await home.put_file("s/second", file)
    assert await home.read("s/second") == file.read_bytes()


async def test_a_read_only_disk(small: Path) -> None:
    """Reading goes on; writing and deleting name the cause."""
    home = Folder(small / "media")
    await home.put("s/x", b"x")
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,ro", str(small)], check=True)
    assert await home.read("s/x") == b"x"
    for call in (home.put("s/y", b""), home.put_new("s/y", b""), home.delete(["s/x"])):
        with pytest.raises(Unavailable, match="read-only: mount it for writing"):
            await call


async def test_a_disk_that_hangs(tmp_path: Path) -> None:
    """Given up after its time, with the cause."""
    os.mkfifo(tmp_path / "pipe")

    class Hanging(Folder):
        """Waits in a thread as a network disk does: opening a pipe that nobody writes."""

        async def hang(self) -> None:
            await self._step((tmp_path / "pipe").read_bytes)

    with pytest.raises(Unavailable, match=r"has not answered for 0\.2 s"):
        await Hanging(tmp_path, step_s=0.2).hang()
    (tmp_path / "pipe").write_bytes(b"")


async def test_large_objects_take_little_memory(tmp_path: Path) -> None:
    """200 MB from another disk and back out again: less than 32 MB more."""
    await bounded(Folder(tmp_path / "media"), Path("/dev/shm"))  # noqa: S108 - another disk than the one of tmp_path
