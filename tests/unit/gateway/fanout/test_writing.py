"""Both writers, in Python and in C: the same answers on real sockets."""

import socket
from array import array
from collections.abc import Iterator

import pytest

from gateway.fanout.viewer import SEND_BUFFER
from gateway.fanout.writing import Writer, compiled, write_each, writer

#: `windower.MOST_BYTES` with commas and its frame stays below it: `test_a_window_is_no_larger_than_a_socket_takes`.
LARGEST_FRAME = 65_535
WRITERS = [pytest.param(write_each, id="python")] + ([pytest.param(c, id="c")] if (c := compiled()) else [])


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Five connections: our end without waiting, and the peer's."""
    made = [socket.socketpair() for _ in range(5)]
    for ours, _ in made:
        ours.settimeout(0)
    yield made
    for ours, theirs in made:
        ours.close()
        theirs.close()


def _fds(pairs: list[tuple[socket.socket, socket.socket]]) -> "array[int]":
    return array("i", [ours.fileno() for ours, _ in pairs])


@pytest.mark.parametrize("write", WRITERS)
def test_everyone_gets_all_of_it(write: Writer, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """Whoever has room takes the whole frame, zero bytes included, and nobody is reported."""
    assert write(_fds(pairs), b"a\0frame") == []
    assert [theirs.recv(100) for _, theirs in pairs] == [b"a\0frame"] * 5


@pytest.mark.parametrize("write", WRITERS)
def test_who_takes_a_part_is_told_with_its_bytes(write: Writer, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """A full buffer takes some, then nothing; the others are not touched by it."""
    big = b"x" * 10_000_000
    [(fd, took), *others] = write(_fds(pairs)[1:2], big)
    again = write(_fds(pairs), b"next")

    assert (fd, others) == (pairs[1][0].fileno(), [])
    assert 0 < took < len(big)
    assert again == [(fd, 0)]


@pytest.mark.parametrize("write", WRITERS)
def test_a_broken_connection_is_told_and_kills_nothing(write: Writer, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    """A peer that is gone is -1 (and no SIGPIPE); everyone else is written to."""
    pairs[2][1].close()

    assert write(_fds(pairs), b"frame") == [(pairs[2][0].fileno(), -1)]
    assert pairs[4][1].recv(100) == b"frame"


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_window_goes_into_a_socket_whole(write: Writer) -> None:
    """Of a peer that reads nothing and has hardly any room itself: only who misses more than one write is skipped."""
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        theirs.connect(listening.getsockname())
        ours, _ = listening.accept()
        with ours:
            ours.settimeout(0)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            assert write(array("i", [ours.fileno()]), bytes(LARGEST_FRAME)) == []


def test_python_can_be_asked_for() -> None:
    """The setting takes the compiled part out of the way."""
    assert writer("python") is write_each
    assert writer("auto") is (compiled() or write_each)
