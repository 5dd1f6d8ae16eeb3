"""Ports for servers that a test starts by number, chosen where the kernel does not take its own from.

A port that was free a moment ago in the kernel's range (32768 to 60999 unless somebody changed it) may be the local end of
anybody's connection by the time a process listens on it: every viewer of every test running beside this one takes one.

A port is free, too, from when it is given to when its server listens, and a draw may fall on it again: with the eight ports
of one S3 server, once in 800 starts. So a port is given once in a process, and while that lives to no other: it holds a lock
on the byte of that number in one file.
"""

import fcntl
import os
import secrets
import socket
import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path


@dataclass
class Ports:
    """Ports from *lowest* up to, but not with, *highest*; *claims* is the file that all who draw from them lock bytes of."""

    claims: Path
    lowest: int
    highest: int
    tries: int = 100
    given: set[int] = field(default_factory=set)

    def free(self, *hosts: str) -> int:
        """A TCP port, not given before, on which nobody listens on any of *hosts* (127.0.0.1 where none is named).

        Raises OSError where none is found in *tries*.
        """
        hosts = hosts or ("127.0.0.1",)
        for _ in range(self.tries):
            port = self.lowest + secrets.randbelow(self.highest - self.lowest)
            if port not in self.given and self._claimed(port) and all(unused(host, port) for host in hosts):
                self.given.add(port)
                return port
        msg = f"no free port on {', '.join(hosts)} in {self.tries} tries"
        raise OSError(msg)

    def _claimed(self, port: int) -> bool:
        """Whether this process holds *port* now; the kernel lets go of it when the process ends, however that ends."""
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except BlockingIOError:
            return False
        return True

    @cached_property
    def _file(self) -> int:
        # Never closed: closing any descriptor of a file lets go of all locks that the process has on it.
        return os.open(self.claims, os.O_RDWR | os.O_CREAT, 0o600)


def unused(host: str, port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


free_port = Ports(Path(tempfile.gettempdir()) / f"ovation-ports.{os.getuid()}", 10_000, 32_000).free
