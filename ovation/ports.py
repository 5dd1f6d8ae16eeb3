"""Ports: taken ones are said before anything starts, with the variable and, where the system tells, the holder."""

import contextlib
import socket
from pathlib import Path

from infra.errors import BadSettings


def listen(host: str, port: int, variable: str, backlog: int = 4096) -> socket.socket:
    """A listening socket.

    Raises:
        BadSettings: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listening.bind((host, port))
        listening.listen(backlog)
    except OSError as error:
        listening.close()
        held = holder(port)
        by = f" by {held}" if held else ""
        taken = f"port {port} is taken{by}" if error.errno == 98 else error.strerror
        msg = f"{variable}={port}: cannot listen on {host}: {taken}; stop it, or set {variable} to another port"
        raise BadSettings(msg) from error
    return listening


def check_free(host: str, port: int, variable: str) -> None:
    """Make sure that a child will be able to listen.

    Raises:
        BadSettings: as `listen`.
    """
    if port:
        listen(host, port, variable).close()


def free() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def holder(port: int) -> str:
    """Who listens on *port*, as `name (pid n)`; an empty string when /proc does not tell."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        with contextlib.suppress(OSError):
            for link in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(link.readlink()) in inodes:
                        return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""
