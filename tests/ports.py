"""Ports for servers that a test starts by number, chosen where the kernel does not take its own from.

A port that was free a moment ago in the kernel's range (32768 to 60999 unless somebody changed it) may be the local end of
anybody's connection by the time a process listens on it: every viewer of every test running beside this one takes one.
"""

import secrets
import socket

LOWEST, HIGHEST = 10_000, 32_000
TRIES = 100


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port on which nobody listens, and which nobody is given by chance."""
    for _ in range(TRIES):
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    msg = f"no free port on {host} in {TRIES} tries"
    raise OSError(msg)
