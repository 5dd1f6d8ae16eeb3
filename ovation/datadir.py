"""Everything kept on one machine: a folder with a format version, one owner at a time, and a secret of its own."""

import fcntl
import os
import secrets
from pathlib import Path

from infra.errors import BadSettings, StoreTooNew

FORMAT = 1


class DataDir:
    """The folder of OVATION_DATA_DIR."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def nats(self) -> Path:
        """JetStream's files."""
        return self.path / "nats"

    @property
    def store(self) -> Path:
        """The store's files, where OVATION_STORE_URL names no other place."""
        return self.path / "store"

    @property
    def run(self) -> Path:
        """The state of a running `up`."""
        return self.path / "run"

    @property
    def log(self) -> Path:
        """The logs of the children."""
        return self.path / "log"

    def open(self) -> None:
        """Create the folder where it is missing, and own it until this process ends.

        Raises:
            BadSettings: it cannot be written, or another `up` owns it.
            StoreTooNew: a newer version made it.
        """
        try:
            for folder in (self.path, self.nats, self.store, self.run, self.log):
                folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.nats, self.store):
                # What people wrote, private streams' comments among it.
                folder.chmod(0o700)
            self._own()
            self._check_format()
        except OSError as error:
            msg = f"OVATION_DATA_DIR={self.path}: {error.strerror or error}; choose a folder that can be written"
            raise BadSettings(msg) from error

    def secret(self) -> str:
        """The secret that signs tokens, made on first use, readable by its owner only."""
        path = self.path / "secret"
        if not path.exists():
            temporary = path.with_suffix(".new")
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
            temporary.rename(path)
        return path.read_text().strip()

    def existing_secret(self) -> str:
        """The secret, or an empty string."""
        path = self.path / "secret"
        return path.read_text().strip() if path.exists() else ""

    def _own(self) -> None:
        lock = os.open(self.run / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 32).decode().strip() or "another process"
            os.close(lock)
            msg = f"OVATION_DATA_DIR={self.path} belongs to a running `ovation up` (pid {holder}); stop it or choose another"
            raise BadSettings(msg) from None
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def _check_format(self) -> None:
        path = self.path / "format"
        if not path.exists():
            path.write_text(f"{FORMAT}\n")
        text = path.read_text().strip()
        if not text.isdecimal() or int(text) > FORMAT:
            msg = f"{self.path} has format {text!r} and this version knows {FORMAT}: run the version that made it"
            raise StoreTooNew(msg)
