"""Objects in a folder: each is a file under its own name.

Written under a name that is none (in `.writing/`), flushed, then renamed: whoever lists or reads sees a file whole or not at
all, also after kill -9 or a power loss. obstore's LocalStore has neither the flush nor a way to take a file without copying it.
Symbolic links inside are not followed, so that nothing outside is listed, read or written. All of it happens on threads of its
own, each step within a time limit: a network disk that hangs costs no loop, and no other part its threads.
"""

import asyncio
import contextlib
import errno
import os
import stat
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from infra.errors import Conflict, Missing, Unavailable
from infra.objects import disk
from infra.objects.contract import ObjectFacts
from infra.objects.names import checked, is_name

T = TypeVar("T")

#: Steps on the disk at a time, and seconds one may take, waiting for its turn included.
THREADS = 8
STEP_S = 30.0
#: Bytes of a piece of a stream, and of a step of a copy. A thread's turn costs 0.1 ms, reading a piece half of that.
PIECE = 128 * 1024
COPY = 8 * 1024**2
#: Names let go of in one step.
BATCH = 200
#: What a killed writer has left is taken away when it is so old; no step lasts that long.
ABANDONED_S = 24 * 3600.0
#: How often a folder is made again which somebody else found empty, and took away, at the same moment.
TRIES = 10
WRITING = ".writing"
#: No such object: nothing is there, a folder is, or something that leads elsewhere.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP)


class Folder:
    """An `ObjectStore` below *root*, which is made when something is first put there."""

    def __init__(self, root: Path, step_s: float = STEP_S) -> None:
        self._root = Path(os.path.realpath(root))
        self._step_s = step_s
        self._threads = ThreadPoolExecutor(THREADS, "objects")
        self._swept = False

    async def put(self, name: str, data: bytes) -> None:
        """As `ObjectStore.put`."""
        path = self._root / checked(name)
        await self._step(lambda: self._write(path, data, os.replace))

    async def put_new(self, name: str, data: bytes) -> None:
        """As `ObjectStore.put_new`: a hard link is made by one of all who try."""
        path = self._root / checked(name)
        try:
            await self._step(lambda: self._write(path, data, os.link))
        except FileExistsError as error:
            msg = f"{name} is there already"
            raise Conflict(msg) from error

    async def put_file(self, name: str, path: Path) -> None:
        """As `ObjectStore.put_file`: renamed, or copied where *path* is on another disk."""
        target = self._root / checked(name)
        if not await self._step(path.is_file):
            raise FileNotFoundError(path)
        if not await self._step(lambda: self._take(path, target)):
            await self._copy(path, target)

    async def facts(self, name: str) -> ObjectFacts | None:
        """As `ObjectStore.facts`."""
        path = self._root / checked(name)

        def look() -> ObjectFacts | None:
            try:
                _inside(path)
                found = path.lstat()
            except OSError as error:
                if error.errno in _ABSENT:
                    return None
                raise
            return _facts(name, found) if stat.S_ISREG(found.st_mode) else None

        return await self._step(look)

    async def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """As `ObjectStore.read`."""
        path = self._root / checked(name)

        def read() -> bytes:
            file = _opened(path, name)
            try:
                last = os.fstat(file).st_size if end is None else end
                return _read(file, start, last)
            finally:
                os.close(file)

        return await self._step(read)

    async def stream(self, name: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As `ObjectStore.stream`; the file stays open in between, so that its reader keeps it when it is replaced."""
        path = self._root / checked(name)
        file = await self._step(lambda: _opened(path, name))
        try:
            while piece := await self._step(
                lambda at=start: _read(file, at, at + PIECE if end is None else min(end, at + PIECE))  # type: ignore[misc]
            ):
                yield piece
                start += len(piece)
        finally:
            os.close(file)

    async def list(self, prefix: str) -> AsyncIterator[ObjectFacts]:
        """As `ObjectStore.list`. Keeps in memory what is in one folder, and in those above it."""
        above = [iter(await self._step(lambda: _entries(self._root, checked(prefix) if prefix else "")))]
        while above:
            entry = next(above[-1], None)
            if entry is None:
                above.pop()
            elif isinstance(entry, ObjectFacts):
                yield entry
            else:
                above.append(iter(await self._step(lambda name=entry: _entries(self._root, name))))  # type: ignore[misc]

    async def delete(self, names: Iterable[str]) -> None:
        """As `ObjectStore.delete`; folders go with the last object in them."""
        paths = [self._root / checked(name) for name in names]
        for first in range(0, len(paths), BATCH):
            await self._step(lambda some=paths[first : first + BATCH]: self._remove(some))  # type: ignore[misc]

    async def _step(self, work: Callable[[], T]) -> T:
        """Do *work* on a thread.

        Raises:
            Unavailable: the disk refuses, or has not answered in time; then the thread goes on waiting for it.
            FileExistsError: as *work* does.
        """
        try:
            async with asyncio.timeout(self._step_s):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError as error:
            msg = f"the disk that holds {self._root} has not answered for {self._step_s:g} s: see whether it is there"
            raise Unavailable(msg) from error
        except FileExistsError:
            raise
        except OSError as error:
            raise disk.unavailable(self._root, error) from error

    def _write(self, path: Path, data: bytes, put: Callable[[Path, Path], None]) -> None:
        part = self._part()
        try:
            with part.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._place(part, path, put)
        finally:
            part.unlink(missing_ok=True)

    def _take(self, source: Path, path: Path) -> bool:
        """Rename a file to be an object; false where it is on another disk."""
        file = os.open(source, os.O_RDONLY)
        try:
            os.fsync(file)
            # An object's time is that of its coming.
            os.utime(file)
        finally:
            os.close(file)
        try:
            self._place(source, path, os.replace)
        except OSError as error:
            if error.errno == errno.EXDEV:
                return False
            raise
        return True

    async def _copy(self, source: Path, path: Path) -> None:
        """In steps, so that a large file may take its time; the source stays."""
        part = await self._step(self._part)
        reading = await self._step(lambda: os.open(source, os.O_RDONLY))
        try:
            at = 0
            while copied := await self._step(lambda at=at: _append(part, reading, at)):  # type: ignore[misc]
                at += copied
            await self._step(lambda: self._place(part, path, os.replace))
        finally:
            os.close(reading)
            with contextlib.suppress(Unavailable):
                await self._step(lambda: part.unlink(missing_ok=True))

    def _part(self) -> Path:
        """A name to write under that is no object's."""
        writing = self._root / WRITING
        writing.mkdir(parents=True, exist_ok=True)
        if not self._swept:
            self._swept = True
            for left in writing.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - left.stat().st_mtime > ABANDONED_S:
                        left.unlink()
        return writing / uuid.uuid4().hex

    def _place(self, part: Path, path: Path, put: Callable[[Path, Path], None]) -> None:
        """Put a whole file where it belongs."""
        _inside(path)
        for left in reversed(range(TRIES)):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                put(part, path)
                break
            except FileNotFoundError:
                if not left or not part.exists():
                    raise
        try:
            _flush(path.parent)
        except OSError:
            # A file that was to be taken stays with whoever gave it.
            with contextlib.suppress(OSError):
                path.replace(part)
            raise

    def _remove(self, paths: Iterable[Path]) -> None:
        for path in paths:
            try:
                _inside(path)
                if not stat.S_ISDIR(path.lstat().st_mode):
                    path.unlink()
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
            self._prune(path.parent)

    def _prune(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            while folder != self._root:
                folder.rmdir()
                folder = folder.parent


def _entries(root: Path, below: str) -> list[ObjectFacts | str]:
    """Objects and folders directly in a folder, in the order of the whole names that are in them."""
    found: list[tuple[str, ObjectFacts | str]] = []
    try:
        _inside(root / below / "x")
        with os.scandir(root / below) as entries:
            for entry in entries:
                name = f"{below}/{entry.name}" if below else entry.name
                if not is_name(name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    found.append((f"{name}/", name))
                elif entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):
                        found.append((name, _facts(name, entry.stat(follow_symlinks=False))))
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
    return [entry for _, entry in sorted(found, key=lambda each: each[0])]


def _inside(path: Path) -> None:
    """Refuse a *path* that leads through a symbolic link."""
    if os.path.realpath(path.parent) != str(path.parent):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path.parent))


def _opened(path: Path, name: str) -> int:
    """A descriptor of an object.

    Raises:
        Missing: there is none.
    """
    try:
        _inside(path)
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(file).st_mode):
            return file
        os.close(file)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
    msg = f"there is no object {name}"
    raise Missing(msg)


def _read(file: int, start: int, end: int) -> bytes:
    """All there is from *start* to *end*: a read may give less than was asked for."""
    pieces: list[bytes] = []
    while start < end and (piece := os.pread(file, end - start, start)):
        pieces.append(piece)
        start += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _append(part: Path, reading: int, at: int) -> int:
    data = _read(reading, at, at + COPY)
    with part.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return len(data)


def _flush(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _facts(name: str, found: os.stat_result) -> ObjectFacts:
    return ObjectFacts(name, found.st_size, found.st_mtime_ns // 1_000_000)
