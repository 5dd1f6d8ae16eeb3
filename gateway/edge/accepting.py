"""Many accepted connections in one call: in Python, and the same in C where the installation could compile it.

`accepting.c` makes two system calls a connection, accept4 and recv; in Python there are two more, to make it not block.
"""

import ctypes
import errno
import os
import socket
from array import array
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

from msgspec import Struct

LIBRARY = Path(__file__).with_name("_accepting.so")
#: Bytes of a connection's first ones that are taken with it. What is longer is read later.
FIRST = 4096
#: This connection's fault, which broke in the queue (accept(2) has the list); after any other the next would fare no better,
#: and neither where all that were asked for broke: a policy that forbids to accept says EPERM and leaves the queue as it is.
BROKEN = frozenset(
    {
        errno.ECONNABORTED,
        errno.EPERM,
        errno.EPROTO,
        errno.ENETDOWN,
        errno.ENOPROTOOPT,
        errno.EHOSTDOWN,
        errno.ENONET,
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.ENETUNREACH,
    }
)


class Taken(Struct, frozen=True):
    """Connections that do not block, each with its first bytes (empty where none have come), and why there are no more.

    `failure` says what kept the next one from being taken; connections that broke before they were are left out.
    """

    connections: list[tuple[int, bytes]]
    failure: OSError | None = None


Taker = Callable[[socket.socket, int], Taken]


def take_each(listening: socket.socket, most: int) -> Taken:
    """The taker in Python: at most *most* connections of *listening*, which does not block."""
    taken: list[tuple[int, bytes]] = []
    broken: list[OSError] = []
    for _ in range(most):
        try:
            fd, _ = listening._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - `accept` makes a socket object of it, and asks the kernel twice more
        except (BlockingIOError, InterruptedError):
            break
        except OSError as error:
            if error.errno not in BROKEN:
                return Taken(taken, error)
            broken.append(error)
            continue
        os.set_blocking(fd, False)
        try:
            taken.append((fd, os.read(fd, FIRST)))
        except (BlockingIOError, InterruptedError):
            taken.append((fd, b""))
        except OSError:
            os.close(fd)
    return Taken(taken, broken[-1] if len(broken) == most else None)


@cache
def compiled() -> Taker | None:
    """The taker in C; `None` where it was not compiled or does not load."""
    try:
        call = ctypes.CDLL(str(LIBRARY)).ovation_take_each
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int,) * 3 + (ctypes.c_void_p,) * 4
    call.restype = ctypes.c_int
    room = bytearray()

    def take_each_compiled(listening: socket.socket, most: int) -> Taken:
        if len(room) < most * FIRST:
            room.extend(bytes(most * FIRST - len(room)))
        numbers = array("i", bytes(4 * (2 * most + 1)))
        fds, _ = numbers.buffer_info()
        data = (ctypes.c_char * len(room)).from_buffer(room)
        count = call(listening.fileno(), most, FIRST, fds, fds + 4 * most, ctypes.addressof(data), fds + 8 * most)
        taken: list[tuple[int, bytes]] = []
        start = 0
        for n in range(count):
            end = start + numbers[most + n]
            taken.append((numbers[n], bytes(room[start:end])))
            start = end
        failed = numbers[2 * most]
        return Taken(taken, OSError(failed, os.strerror(failed)) if failed else None)

    return take_each_compiled


def taker(wanted: Literal["auto", "python"]) -> Taker:
    """The best taker there is, or the one in Python."""
    return (compiled() or take_each) if wanted == "auto" else take_each
