"""The folder in which recorded segments wait for their home, and what is salvaged of it after a crash. Blocking.

Every worker process has a folder of its own, held by a lock that ends with the process however that ends; what a dead worker
on the same machine left is taken over. Bounded in bytes: a segment is begun only below the limit, so that what is here already
is never given up for what comes later.
"""

import contextlib
import fcntl
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from msgspec import structs

from infra.telemetry import logs, metrics
from schemas.streamid import is_stream_id
from workers.media.recording import names
from workers.media.recording.fragments import lasts_ms, parts
from workers.media.recording.initial import initial

#: Worker processes on one machine that can have a spool at a time.
MOST_WORKERS = 64
_LOCK = "lock"


class Spool:
    """Below *root*, at most *limit* bytes (one segment per rendition more, where many began at once)."""

    def __init__(self, root: Path, limit: int) -> None:
        self._root = root
        self._limit = limit
        self._bytes = 0
        self._counting = threading.Lock()
        self._held: int | None = None
        self.folder = root
        self._log = logs.get(__name__)

    @property
    def full(self) -> bool:
        """Whether no segment may be begun."""
        return self._bytes >= self._limit

    @property
    def bytes(self) -> int:
        """What waits here."""
        return self._bytes

    def count(self, size: int) -> None:
        """*size* bytes came, or went where it is negative. From any thread."""
        with self._counting:
            self._bytes += size
            metrics.SPOOL_BYTES.set(self._bytes)

    def path(self, stream_id: str, *words: str) -> Path:
        """Where something of a stream is."""
        return self.folder.joinpath(stream_id, *words)

    def open(self) -> None:
        """Take a folder of our own.

        Raises:
            OSError: it cannot be made, or more than `MOST_WORKERS` have one.
        """
        for number in range(MOST_WORKERS):
            folder = self._root / str(number)
            folder.mkdir(parents=True, exist_ok=True)
            lock = _locked(folder)
            if lock is not None:
                self._held, self.folder = lock, folder
                return
        msg = f"{self._root} has the spools of {MOST_WORKERS} workers"
        raise OSError(msg)

    def close(self) -> None:
        """Give the folder up; what is in it is salvaged by the next worker."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def salvage(self) -> list[tuple[str, str, int]]:
        """Make whole what a crash left, of this spool and of dead workers': (stream, `rendition/file`, bytes), inits first.

        Call it before anything is recorded here. A segment that was being filled becomes a shorter one.
        """
        self._adopt()
        found: list[tuple[str, str, int]] = []
        for stream in self._streams(self.folder):
            files: list[tuple[str, str, int]] = []
            for path in sorted(stream.glob("*/*"), key=lambda path: (path.suffix != ".mp4", path.name)):
                kept = self._whole(path)
                if kept is not None:
                    size = kept.stat().st_size
                    files.append((stream.name, f"{kept.parent.name}/{kept.name}", size))
                    if kept.suffix == ".m4s":
                        self.count(size)
            found += files
        return found

    def forget(self, stream_id: str) -> None:
        """Let go of everything of a stream."""
        for path in self.path(stream_id).glob("*/*.m4s"):
            with contextlib.suppress(OSError):
                self.count(-path.stat().st_size)
        shutil.rmtree(self.path(stream_id), ignore_errors=True)

    def _whole(self, path: Path) -> Path | None:
        """The file as it can be kept: with its final name, without a part that is not whole; `None` where nothing is left."""
        if names.generation(path.name) is not None:
            return path
        segment = names.segment(path.name)
        if segment is None:
            path.unlink(missing_ok=True)
            return None
        if path.suffix == ".m4s":
            return path
        try:
            scales = initial((path.parent / names.init(segment.generation)).read_bytes()).scales
        except (OSError, ValueError):
            scales = {}
        lasts, end = 0, 0
        with path.open("r+b") as file:
            for part in parts(file, path.stat().st_size):
                lasts, end = lasts + lasts_ms(part, scales), part.end
            file.truncate(end)
        if not lasts:
            path.unlink(missing_ok=True)
            return None
        whole = path.with_name(structs.replace(segment, duration_ms=lasts).name)
        path.rename(whole)
        self._log.info("salvaged what a segment had so far", file=str(whole), duration_ms=lasts)
        return whole

    def _adopt(self) -> None:
        """Take over what dead workers on this machine left."""
        for other in sorted(self._root.iterdir()):
            if other == self.folder or not any(self._streams(other)):
                continue
            lock = _locked(other)
            if lock is None:
                continue
            try:
                for stream in self._streams(other):
                    for path in stream.glob("*/*"):
                        target = self.path(stream.name, path.parent.name, path.name)
                        target.parent.mkdir(parents=True, exist_ok=True)
                        path.rename(target)
                    shutil.rmtree(stream, ignore_errors=True)
            finally:
                os.close(lock)

    @staticmethod
    def _streams(folder: Path) -> Iterator[Path]:
        if folder.is_dir():
            yield from (path for path in sorted(folder.iterdir()) if is_stream_id(path.name))


def _locked(folder: Path) -> int | None:
    """A descriptor that holds *folder*'s lock; `None` where another process does."""
    file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file
