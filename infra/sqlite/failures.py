"""SQLite's errors, translated: what may be tried again is `Unavailable` and says why; everything else is a bug."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.errors import Refused, Unavailable

#: Seconds a caller should leave between tries: people free a disk in minutes, a lock is gone in a moment.
FULL_RETRY_S = 5
LOCKED_RETRY_S = 1
#: What a row can bring upon itself.
_ROWS_OWN = (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH)
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
_UNWRITABLE = "{path} cannot be opened for writing: {text}; check the folder, its owner and how it is mounted"
_DAMAGED = "{path} is damaged: {text}; restore it from a backup, or move it away and start anew"
_CAUSES = {
    **dict.fromkeys(_LOCKED, "{path} is locked by another process; find out which keeps it: several archives take turns"),
    **dict.fromkeys((sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM), _UNWRITABLE),
    **dict.fromkeys((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB), _DAMAGED),
    sqlite3.SQLITE_FULL: "the disk that holds {path} is full ({free} free); free space on it",
    sqlite3.SQLITE_IOERR: "the disk that holds {path} fails ({free} free): {text}; see the system's log",
    sqlite3.SQLITE_NOMEM: "no memory is left for {path}; see what takes it on this machine",
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Run a block that touches the database at *path*.

    Raises:
        Refused: what was to be written does not fit the tables.
        Unavailable: the disk is full or fails, the file is locked, unreadable or damaged; says which and what to do.
    """
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _ROWS_OWN:
            msg = f"{path} does not take it: {error} ({error.sqlite_errorname})"
            raise Refused(msg) from error
        cause = _cause(path, error)
        if cause is None:
            raise
        raise Unavailable(*cause) from error


def _cause(path: Path, error: sqlite3.Error) -> tuple[str, int] | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    words = _CAUSES.get(code)
    if words is None:
        return None
    text = f"{error} ({getattr(error, 'sqlite_errorname', 'no code')})"
    cause = words.format(path=path, free=_free(path), text=text)
    return cause, LOCKED_RETRY_S if code in _LOCKED else FULL_RETRY_S


def _free(path: Path) -> str:
    folder = next((p for p in path.parents if p.is_dir()), Path("/"))
    try:
        return f"{shutil.disk_usage(folder).free / 2**20:.1f} MiB"
    except OSError:
        return "unknown"
