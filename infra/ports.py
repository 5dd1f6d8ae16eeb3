"""Ports: taken ones are said before anything starts, with the variable and, where the system tells, the holder."""

import contextlib
import errno
import itertools
import socket
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from infra.errors import BadSettings

EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
#: What binding says where IPv6 is switched off, or an address belongs to another machine.
_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


#: Connections that wait to be accepted: a storm of ten thousand comes in a few turns of a loop.
BACKLOG = 4096
#: A peer that takes or acknowledges nothing for so long (ms) has gone: a kernel's own patience is a quarter of an hour.
USER_TIMEOUT_MS = 30_000


class Holder(NamedTuple):
    """A process that listens."""

    name: str
    pid: int


class AddressAbsent(BadSettings):
    """The address is not this machine's."""


def listen(host: str, port: int, variable: str, *, both_families: bool = False) -> socket.socket:
    """A listening socket. With *both_families* `::` takes IPv4 as well; without it, another socket may.

    Raises:
        AddressAbsent: the address is not this machine's, or is none.
        BadSettings: the port is taken, or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both_families)
    # Connections have them from the listening socket as it is when they are made, which may be long before they are accepted.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        if error.errno in _ABSENT or isinstance(error, socket.gaierror):
            msg = f"{variable.replace('_PORT', '_HOST')}: {host} is no address of this machine ({error.strerror}); set another"
            raise AddressAbsent(msg) from error
        held = holder(port)
        by = f" by {held.name} (pid {held.pid})" if held else ""
        taken = f"port {port} is taken{by}" if error.errno == errno.EADDRINUSE else error.strerror
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


def check_any(hosts: Sequence[str], port: int, variable: str) -> None:
    """Make sure that a child will be able to listen on those of *hosts* that are this machine's.

    Raises:
        AddressAbsent: none of them is.
        BadSettings: as `listen`.
    """
    absent: list[AddressAbsent] = []
    for host in hosts:
        try:
            check_free(host, port, variable)
        except AddressAbsent as error:
            absent.append(error)
    if absent and len(absent) == len(hosts):
        raise absent[0]


def check_distinct(claims: Mapping[str, tuple[Collection[str], int]]) -> None:
    """Make sure that no two of *claims* (variable -> hosts and port) are for the same place.

    Raises:
        BadSettings: names both.
    """
    for (one, (hosts, port)), (other, (others, same)) in itertools.combinations(claims.items(), 2):
        meet = set(hosts) & set(others) or EVERYWHERE & {*hosts, *others}
        if port and port == same and meet:
            msg = f"{one} and {other} are both {port}: set one of them to another port"
            raise BadSettings(msg)


def free() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def holder(port: int) -> Holder | None:
    """Who listens on *port*; `None` when /proc does not tell."""
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
                        return Holder((process / "comm").read_text().strip(), int(process.name))
    return None
