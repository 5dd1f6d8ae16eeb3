"""One frame to many sockets: in Python, and the same in C where the installation could compile it (`writing.c`).

Measured for 5,000 sockets and 267 bytes: a loop in C alone 5.9 us a write, the C part called from here 6.2, Python 7.2.
Larger frames are put into memory once, and all sockets are given references to it instead of copies (ADR 0007).
"""

import contextlib
import ctypes
import errno
import os
from array import array
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Literal

LIBRARY = Path(__file__).with_name("_writing.so")

#: Writes *data* to every descriptor, none of which may block, and returns those that did not take all of it: the descriptor,
#: and the bytes it took (-1: the connection is broken).
Writer = Callable[["array[int]", bytes], list[tuple[int, int]]]

#: Smaller frames are copied: a copy of 4 kB costs no more than a reference that all sockets count on the same pages.
SHARED_FROM = 8 * 1024
#: For fewer sockets the file (20 to 40 us) is not worth its while.
SHARED_BY = 32


def write_each(fds: "array[int]", data: bytes) -> list[tuple[int, int]]:
    """The writer in Python."""
    size = len(data)
    short: list[tuple[int, int]] = []
    with _shared(data, len(fds)) as shared:
        for fd in fds:
            try:
                if (took := _put(fd, data, shared)) != size:
                    short.append((fd, took))
            except BlockingIOError:
                short.append((fd, 0))
            except OSError:
                short.append((fd, -1))
    return short


def _put(fd: int, data: bytes, shared: int) -> int:
    if fd == shared:
        # It was closed unnoticed, and its number is the file's now.
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    if shared >= 0:
        # What cannot be shared is copied; where there is no room, or no connection any more, that fails as well.
        with contextlib.suppress(OSError):
            return os.sendfile(fd, shared, 0, len(data))
    return os.write(fd, data)


@contextlib.contextmanager
def _shared(data: bytes, by: int) -> Iterator[int]:
    """A file in memory that holds *data*, or -1 where that is not worth its while for *by* sockets, or cannot be.

    A new one each time, never written to again: what a socket has not sent yet, and what a peer on the same machine has not
    read, are its pages. They are freed when the last of them lets go.
    """
    if len(data) < SHARED_FROM or by < SHARED_BY or not hasattr(os, "memfd_create"):
        yield -1
        return
    file = -1
    try:
        with contextlib.suppress(OSError):
            file = os.memfd_create("window")
        yield file if file >= 0 and _filled(file, data) else -1
    finally:
        if file >= 0:
            os.close(file)


def _filled(file: int, data: bytes) -> bool:
    try:
        return os.write(file, data) == len(data)
    except OSError:
        return False


@cache
def compiled() -> Writer | None:
    """The writer in C; `None` where it was not compiled or does not load."""
    try:
        call = ctypes.CDLL(str(LIBRARY)).ovation_put_each
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_void_p)
    call.restype = ctypes.c_int

    def write_each_compiled(fds: "array[int]", data: bytes) -> list[tuple[int, int]]:
        count = len(fds)
        out = array("i", bytes(8 * count))
        with _shared(data, count) as shared:
            short = call(fds.buffer_info()[0], count, data, len(data), shared, out.buffer_info()[0])
        return [(fds[out[2 * n]], out[2 * n + 1]) for n in range(short)]

    return write_each_compiled


def writer(wanted: Literal["auto", "python"]) -> Writer:
    """The best writer there is, or the one in Python."""
    return (compiled() or write_each) if wanted == "auto" else write_each
