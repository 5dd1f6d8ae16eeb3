"""SQLite's errors, translated: what may be tried again is `Unavailable` and says why; everything else is a bug."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.errors import Unavailable

#: Seconds a caller should leave between tries: people free a disk in minutes, a lock is gone in a moment.
FULL_RETRY_S = 5
LOCKED_RETRY_S = 1


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Run a block that touches the database at *path*.

    Raises:
        Unavailable: the disk is full or fails, the file is locked, unreadable or damaged; says which and what to do.
    """
    try:
        yield
    except sqlite3.Error as error:
        cause = _cause(path, error)
        if cause is None:
            raise
        raise Unavailable(*cause) from error


def _cause(path: Path, error: sqlite3.Error) -> tuple[str, int] | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    text = f"{error} ({getattr(error, 'sqlite_errorname', 'no code')})"
    match code:
        case sqlite3.SQLITE_FULL:
            return f"the disk that holds {path} is full ({_free(path)} free); free space on it", FULL_RETRY_S
        case sqlite3.SQLITE_IOERR:
            return f"the disk that holds {path} fails ({_free(path)} free): {text}; see the system's log", FULL_RETRY_S
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return f"{path} is locked by another process; only one archive may write it", LOCKED_RETRY_S
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return f"{path} cannot be opened for writing: {text}; check the folder and its owner", FULL_RETRY_S
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return f"{path} is damaged: {text}; restore it from a backup, or move it away and start anew", FULL_RETRY_S
    return None


def _free(path: Path) -> str:
    folder = next((p for p in path.parents if p.is_dir()), Path("/"))
    try:
        return f"{shutil.disk_usage(folder).free / 2**20:.1f} MiB"
    except OSError:
        return "unknown"
