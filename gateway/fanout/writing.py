"""One frame to many sockets: in Python, and the same in C where the installation could compile it (`writing.c`).

Measured for 5,000 sockets and 267 bytes: a loop in C alone 5.9 us a write, the C part called from here 6.2, Python 7.2.
"""

import ctypes
import os
from array import array
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

LIBRARY = Path(__file__).with_name("_writing.so")

#: Writes *data* to every descriptor without waiting, and returns those that did not take all of it: the descriptor, and the
#: bytes it took (-1: the connection is broken).
Writer = Callable[["array[int]", bytes], list[tuple[int, int]]]


def write_each(fds: "array[int]", data: bytes) -> list[tuple[int, int]]:
    """The writer in Python."""
    size, write = len(data), os.write
    short: list[tuple[int, int]] = []
    for fd in fds:
        try:
            if (took := write(fd, data)) != size:
                short.append((fd, took))
        except BlockingIOError:
            short.append((fd, 0))
        except OSError:
            short.append((fd, -1))
    return short


@cache
def compiled() -> Writer | None:
    """The writer in C; `None` where it was not compiled or does not load."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError:
        return None
    call = library.ovation_write_each
    call.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_long, ctypes.c_void_p)
    call.restype = ctypes.c_int

    def write_each_compiled(fds: "array[int]", data: bytes) -> list[tuple[int, int]]:
        count = len(fds)
        out = array("i", bytes(8 * count))
        short = call(fds.buffer_info()[0], count, data, len(data), out.buffer_info()[0])
        return [(fds[out[2 * n]], out[2 * n + 1]) for n in range(short)]

    return write_each_compiled


def writer(wanted: Literal["auto", "python"]) -> Writer:
    """The best writer there is, or the one in Python."""
    return (compiled() or write_each) if wanted == "auto" else write_each
