"""Both writers, in Python and in C: the same answers on real sockets."""

import errno
import fcntl
import itertools
import os
import shutil
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
    frames = [b"a" * (size - 2) + b"\n\n", b"b" * SHARED_FROM]
    before = _descriptors()
    short = [write(_fds(crowd), frame) for frame in frames]

    assert short == [[], []]
    assert all(_read(theirs, size + SHARED_FROM) == b"".join(frames) for _, theirs in crowd)
    assert before == _descriptors()


@pytest.mark.parametrize("write", WRITERS)
def test_a_large_frame_is_in_memory_once(write: Writer, crowd: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What sockets hold are references: had somebody the file, what nobody has read yet would change with it."""
    kept = []

    def make(name: str) -> int:
        kept.append(os.dup(file := _make(name)))
        return file

    monkeypatch.setattr(os, "memfd_create", make)
    assert write(_fds(crowd), b"a" * SHARED_FROM) == []
    [file] = kept
    os.pwrite(file, b"changed", 0)
    os.close(file)

    assert {_read(theirs, SHARED_FROM)[:8] for _, theirs in crowd} == {b"changeda"}


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(("size", "viewers"), [(SHARED_FROM - 1, SHARED_BY), (SHARED_FROM, SHARED_BY - 1)])
def test_small_frames_and_those_of_few_are_copied(
    write: Writer, size: int, viewers: int, crowd: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file is made where it costs more than it spares."""
    monkeypatch.setattr(os, "memfd_create", lambda _: pytest.fail("a file was made"))

    assert write(_fds(crowd[:viewers]), b"a" * size) == []


@pytest.mark.parametrize("write", WRITERS)
def test_of_a_shared_frame_too_a_part_is_told_with_its_bytes(write: Writer, crowd: Pairs) -> None:
    """Nobody reads until nobody has room: what each can read then is what was told, part by part; a broken one has no part."""
    taken = {ours.fileno(): b"" for ours, _ in crowd}
    broken = crowd[5][0].fileno()
    crowd[5][0].shutdown(socket.SHUT_WR)
    parts, took = set[int](), {-1}
    # Sizes that no buffer's is a multiple of, so that somebody takes a part.
    for size in itertools.cycle((20_011, 33_343, 47_777, 65_521)):
        frame = os.urandom(size)
        short = dict(write(_fds(crowd), frame))
        assert short.pop(broken) == -1
        took = {short.get(fd, size) for fd in taken if fd != broken}
        parts |= took - {0, size}
        for fd in taken.keys() - {broken}:
            taken[fd] += frame[: short.get(fd, size)]
        if took == {0}:
            break

    assert parts
    for ours, theirs in crowd:
        assert _read(theirs, len(taken[ours.fileno()])) == taken[ours.fileno()]
        ours.close()
        assert theirs.recv(1) == b""


@pytest.mark.parametrize("write", WRITERS)
def test_a_number_that_became_the_files_is_a_broken_connection(
    write: Writer, crowd: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor that was closed without anybody's noticing is told, not taken for one that got all of it."""
    fds = _fds(crowd)
    closed = fds[3]
    crowd[3][0].close()

    def make(name: str) -> int:
        file = _make(name)
        os.dup2(file, closed, inheritable=False)
        os.close(file)
        return closed

    monkeypatch.setattr(os, "memfd_create", make)
    frame = os.urandom(SHARED_FROM)

    assert write(fds, frame) == [(closed, -1)]
    assert all(_read(theirs, len(frame)) == frame for _, theirs in crowd[:3] + crowd[4:])


_make = os.memfd_create


def _refuses(*_: object) -> int:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def _not_a_file(_: str) -> int:
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours.detach()


def _cannot_be_read(_: str) -> int:
    return os.open("/dev/null", os.O_WRONLY)


def _takes_half(_: str) -> int:
    file = _make("window", os.MFD_ALLOW_SEALING)
    os.truncate(file, SHARED_FROM // 2)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    return file


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("made", [_refuses, _not_a_file, _cannot_be_read, _takes_half])
def test_what_cannot_be_shared_is_copied(write: Writer, made: object, crowd: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a system has no such files, or cannot fill one, or its sockets take none."""
    frame = os.urandom(SHARED_FROM)
    monkeypatch.setattr(os, "memfd_create", made)
    crowd[1][1].close()
    crowd[1][0].shutdown(socket.SHUT_WR)

    assert write(_fds(crowd), frame) == [(crowd[1][0].fileno(), -1)]
    assert all(_read(theirs, len(frame)) == frame for _, theirs in crowd[:1] + crowd[2:])


def test_the_part_in_c_is_there_where_it_could_be_compiled() -> None:
    """One that does not load, or was compiled from another version, is no reason to be slower in silence."""
    assert compiled() or not any(map(shutil.which, ("cc", "gcc", "clang")))


def test_python_can_be_asked_for() -> None:
    """The setting takes the compiled part out of the way."""
    assert writer("python") is write_each
    assert writer("auto") is (compiled() or write_each)
