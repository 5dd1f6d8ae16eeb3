"""Folders that settings name: made at the start, or said why not."""

import errno
import os
from pathlib import Path

from infra.errors import BadSettings


def make(folder: Path, variable: str) -> None:
    """Make *folder*, of which *variable* speaks, where it is missing.

    Raises:
        BadSettings: it cannot be made, or not be written; names the variable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        msg = f"{variable}: {folder} cannot be used ({error.strerror}); choose a folder that can be written"
        raise BadSettings(msg) from error
