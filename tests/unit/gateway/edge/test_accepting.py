"""Both takers, in Python and in C: the same answers on real sockets."""

import ctypes
import errno
import os
import platform
import resource
import socket
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.edge.accepting import FIRST, Taken, Taker, compiled, take_each, taker

TAKERS = [pytest.param(take_each, id="python")] + ([pytest.param(c, id="c")] if (c := compiled()) else [])

#: The system call's number: x86-64 has its own, newer architectures have one in common.
ACCEPT4 = 288 if platform.machine() == "x86_64" else 242


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A listening socket that does not block."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(0)
        yield made


def _call(listening: socket.socket, *said: bytes) -> list[socket.socket]:
    """One connection for each of *said*; it waits in the queue with all its bytes when this returns."""
    made = []
    for each in said:
        client = socket.create_connection(listening.getsockname())
        client.sendall(each)
        made.append(client)
    return made


def _close(taken: Taken, clients: list[socket.socket]) -> None:
    for fd, _ in taken.connections:
        os.close(fd)
    for client in clients:
        client.close()


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("take", TAKERS)
def test_each_comes_with_its_own_first_bytes(take: Taker, listening: socket.socket) -> None:
    """Nothing, zero bytes, and more than is taken at first: the rest is there to be read, and nothing blocks."""
    long = bytes(range(256)) * (FIRST // 256 + 1)
    clients = _call(listening, b"", b"a\0b", long, b"last")

    taken = take(listening, 64)

    assert [data for _, data in taken.connections] == [b"", b"a\0b", long[:FIRST], b"last"]
    assert taken.failure is None
    assert os.read(taken.connections[2][0], 2 * FIRST) == long[FIRST:]
    for fd, _ in taken.connections:
        assert not os.get_inheritable(fd)
        with pytest.raises(BlockingIOError):
            os.read(fd, 1)
    _close(taken, clients)


@pytest.mark.parametrize("take", TAKERS)
def test_no_more_are_taken_than_asked_for(take: Taker, listening: socket.socket) -> None:
    """In order, and what is left waits; an empty queue is no failure."""
    clients = _call(listening, b"1", b"2", b"3")

    first, second, third = take(listening, 2), take(listening, 2), take(listening, 2)

    assert [[data for _, data in each.connections] for each in (first, second, third)] == [[b"1", b"2"], [b"3"], []]
    assert third.failure is None
    for each in (first, second, third):
        _close(each, [])
    _close(third, clients)


@pytest.mark.parametrize("take", TAKERS)
def test_who_broke_in_the_queue_is_left_out(take: Taker, listening: socket.socket) -> None:
    """A reset takes nobody else's place, and its descriptor is given back."""
    clients = _call(listening, b"before", b"", b"after")
    clients[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    clients[1].close()
    held = _descriptors()

    taken = take(listening, 64)

    assert [data for _, data in taken.connections] == [b"before", b"after"]
    assert _descriptors() == held + 2
    _close(taken, clients)


@pytest.mark.parametrize("take", TAKERS)
def test_out_of_descriptors(take: Taker, listening: socket.socket) -> None:
    """Those before it are taken, the failure is told, and who waits is there when there is room again."""
    clients = _call(listening, b"1", b"2")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The lowest number that is free, and one more: the next to be given, and then none.
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, hard))
    try:
        taken = take(listening, 64)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert [data for _, data in taken.connections] == [b"1"]
    assert taken.failure is not None
    assert taken.failure.errno == errno.EMFILE
    later = take(listening, 64)
    assert [data for _, data in later.connections] == [b"2"]
    _close(taken, clients)
    _close(later, [])


def _forbidding(call: Callable[[], Taken]) -> Taken:
    """What *call* returns in a thread that the kernel forbids to accept: EPERM each time, and the queue stays as it is."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Load the system call's number; is it accept4, then EPERM; allow.
    forbid, allow = (0x06, 0, 0, 0x00050000 | errno.EPERM), (0x06, 0, 0, 0x7FFF0000)
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, ACCEPT4), forbid, allow]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    code = ctypes.create_string_buffer(program, len(program))
    told = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    no_new_privileges, seccomp, by_filter = 38, 22, 2

    def work() -> Taken:
        for each in ((no_new_privileges, 1, 0), (seccomp, by_filter, ctypes.addressof(told))):
            if libc.prctl(*(ctypes.c_ulong(part) for part in each), ctypes.c_ulong(0), ctypes.c_ulong(0)):
                raise OSError(ctypes.get_errno(), "prctl")
        return call()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.mark.parametrize("take", TAKERS)
def test_who_is_forbidden_to_accept_is_told_so(take: Taker, listening: socket.socket) -> None:
    """EPERM for all that were asked for is a failure, which is paused for; who waits is there when it is allowed again."""
    clients = _call(listening, b"1")

    taken = _forbidding(lambda: take(listening, 64))

    assert taken.connections == []
    assert taken.failure is not None
    assert taken.failure.errno == errno.EPERM
    later = take(listening, 64)
    assert ([data for _, data in later.connections], later.failure) == ([b"1"], None)
    _close(later, clients)


@pytest.mark.parametrize("take", TAKERS)
def test_what_is_no_listening_socket_is_a_failure(take: Taker) -> None:
    """It ends, where trying again would go on for ever."""
    with socket.socket() as other:
        other.settimeout(0)
        assert take(other, 64).failure is not None


def test_python_can_be_asked_for() -> None:
    """The setting takes the compiled part out of the way."""
    assert taker("python") is take_each
    assert taker("auto") is (compiled() or take_each)
