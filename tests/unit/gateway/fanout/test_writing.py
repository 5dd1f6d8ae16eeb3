"""Both writers, in Python and in C: the same answers on real sockets."""

import errno
import os
import socket
from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.fanout.viewer import SEND_BUFFER
from gateway.fanout.writing import SHARED_BY, SHARED_FROM, Writer, compiled, write_each, writer

#: `windower.MOST_BYTES` with commas and its frame stays below it: `test_a_window_is_no_larger_than_a_socket_takes`.
LARGEST_FRAME = 65_535
WRITERS = [pytest.param(write_each, id="python")] + ([pytest.param(c, id="c")] if (c := compiled()) else [])


#: Our end, which does not wait, and the peer's.
Pairs = list[tuple[socket.socket, socket.socket]]


@pytest.fixture
def pairs() -> Iterator[Pairs]:
    """Five connections."""
    made = [socket.socketpair() for _ in range(5)]
    for ours, _ in made:
        ours.settimeout(0)
    yield made
    for ours, theirs in made:
        ours.close()
        theirs.close()


@pytest.fixture
def crowd() -> Iterator[Pairs]:
    """As many TCP connections as share a large frame, with a viewer's buffers."""
    made = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for _ in range(SHARED_BY):
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
            ours.settimeout(0)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            made.append((ours, theirs))
    yield made
    for ours, theirs in made:
        ours.close()
        theirs.close()


def _fds(pairs: Pairs) -> "array[int]":
    return array("i", [ours.fileno() for ours, _ in pairs])


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _read(theirs: socket.socket, size: int) -> bytes:
    return theirs.recv(size, socket.MSG_WAITALL)


@pytest.mark.parametrize("write", WRITERS)
def test_everyone_gets_all_of_it(write: Writer, pairs: Pairs) -> None:
    """Whoever has room takes the whole frame, zero bytes included, and nobody is reported."""
    assert write(_fds(pairs), b"a\0frame") == []
    assert [theirs.recv(100) for _, theirs in pairs] == [b"a\0frame"] * 5


@pytest.mark.parametrize("write", WRITERS)
def test_who_takes_a_part_is_told_with_its_bytes(write: Writer, pairs: Pairs) -> None:
    """A full buffer takes some, then nothing; the others are not touched by it."""
    big = b"x" * 10_000_000
    [(fd, took), *others] = write(_fds(pairs)[1:2], big)
    again = write(_fds(pairs), b"next")

    assert (fd, others) == (pairs[1][0].fileno(), [])
    assert 0 < took < len(big)
    assert again == [(fd, 0)]


@pytest.mark.parametrize("write", WRITERS)
def test_a_broken_connection_is_told_and_kills_nothing(write: Writer, pairs: Pairs) -> None:
    """A peer that is gone is -1 (and no SIGPIPE); everyone else is written to."""
    pairs[2][1].close()

    assert write(_fds(pairs), b"frame") == [(pairs[2][0].fileno(), -1)]
    assert pairs[4][1].recv(100) == b"frame"


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("viewers", [1, SHARED_BY])
def test_a_full_window_goes_into_a_socket_whole(write: Writer, viewers: int) -> None:
    """Of peers that read nothing and have hardly any room themselves: only who misses more than one write is skipped."""
    with ExitStack() as ends:
        listening = ends.enter_context(socket.create_server(("127.0.0.1", 0)))
        fds = array("i")
        for _ in range(viewers):
            theirs = ends.enter_context(socket.socket())
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            theirs.connect(listening.getsockname())
            ours = ends.enter_context(listening.accept()[0])
            ours.settimeout(0)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            fds.append(ours.fileno())
        assert write(fds, bytes(LARGEST_FRAME)) == []


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("size", [SHARED_FROM - 1, SHARED_FROM, LARGEST_FRAME])
def test_a_frame_that_many_share_stays_what_it_was(write: Writer, size: int, crowd: Pairs) -> None:
    """Nobody has read one when the next is written: each gets both whole, in their order, and no descriptor is left open."""
    frames = [bytes([letter]) * (size - 2) + b"\n\n" for letter in b"ab"]
    before = _descriptors()
    short = [write(_fds(crowd), frame) for frame in frames]

    assert short == [[], []]
    assert all(_read(theirs, 2 * size) == b"".join(frames) for _, theirs in crowd)
    assert before == _descriptors()


@pytest.mark.parametrize("write", WRITERS)
def test_of_a_shared_frame_too_a_part_is_told_with_its_bytes(write: Writer, crowd: Pairs) -> None:
    """Nobody reads until nobody has room: what each can read then is what was told, part by part; a broken one has no part."""
    frame = bytes(range(256)) * 255
    taken = {ours.fileno(): b"" for ours, _ in crowd}
    broken = crowd[5][0].fileno()
    crowd[5][0].shutdown(socket.SHUT_WR)
    parts: set[int] = set()
    while parts != {0}:
        short = dict(write(_fds(crowd), frame))
        assert short.pop(broken) == -1
        parts = {short.get(fd, len(frame)) for fd in taken if fd != broken}
        for fd in taken.keys() - {broken}:
            taken[fd] += frame[: short.get(fd, len(frame))]

    assert any(len(each) % len(frame) for each in taken.values())
    for ours, theirs in crowd:
        assert _read(theirs, len(taken[ours.fileno()])) == taken[ours.fileno()]
        ours.close()
        assert theirs.recv(1) == b""


def _refuses(*_: object) -> int:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def _not_a_file(_: str) -> int:
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours.detach()


def _cannot_be_read(_: str) -> int:
    return os.open("/dev/null", os.O_WRONLY)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("made", [_refuses, _not_a_file, _cannot_be_read])
def test_what_cannot_be_shared_is_copied(write: Writer, made: object, crowd: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a system has no such files, or cannot fill one, or its sockets take none."""
    frame = os.urandom(SHARED_FROM)
    monkeypatch.setattr(os, "memfd_create", made)
    crowd[1][1].close()
    crowd[1][0].shutdown(socket.SHUT_WR)

    assert write(_fds(crowd), frame) == [(crowd[1][0].fileno(), -1)]
    assert all(_read(theirs, len(frame)) == frame for _, theirs in crowd[:1] + crowd[2:])


def test_python_can_be_asked_for() -> None:
    """The setting takes the compiled part out of the way."""
    assert writer("python") is write_each
    assert writer("auto") is (compiled() or write_each)
