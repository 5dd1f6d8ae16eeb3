"""What a disk says when it refuses, with the next step."""

import errno
import shutil
from pathlib import Path

from infra.errors import Unavailable

#: Seconds a caller should leave between tries: people free a disk in minutes.
RETRY_S = 5


def unavailable(root: Path, error: OSError) -> Unavailable:
    """What *error* means for objects below *root*."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            said = f"the disk that holds {root} is full ({_free(root)} free): free space on it, or move it (OVATION_MEDIA_URL)"
        case errno.EROFS:
            said = f"the disk that holds {root} is read-only: mount it for writing, or set OVATION_MEDIA_URL to another folder"
        case errno.EACCES | errno.EPERM:
            said = f"{error.filename or root} may not be used: give this process's user access to {root} and all in it"
        case errno.ELOOP:
            said = f"{error.filename or root} is a symbolic link or leads through one: put the files themselves below {root}"
        case errno.ENOTDIR | errno.EISDIR | errno.EEXIST:
            said = f"{error.filename or root} is in the way: a name is either an object's or a folder's; move it out of {root}"
        case errno.EMFILE | errno.ENFILE:
            said = f"no more files can be opened for {root}: raise the limit (ulimit -n)"
        case _:
            said = f"the disk that holds {root} fails ({_free(root)} free): {error}; see the system's log"
    return Unavailable(said, RETRY_S)


def _free(root: Path) -> str:
    folder = next((each for each in (root, *root.parents) if each.is_dir()), Path("/"))
    try:
        return f"{shutil.disk_usage(folder).free / 2**20:.1f} MiB"
    except OSError:
        return "unknown"
