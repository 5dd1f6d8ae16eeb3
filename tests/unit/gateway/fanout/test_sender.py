"""The sender on real sockets: one flush, each viewer once, whoever comes and goes while it is on its way."""

import asyncio
import socket
from array import array
from time import perf_counter
from typing import cast

from gateway.fanout import sender
from gateway.fanout.lane import Roll
from gateway.fanout.sender import Sender
from gateway.fanout.viewer import Viewer
from tests.waits import eventually


class Client:
    """A viewer as a roll knows it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.roll: Roll | None = None


async def test_a_descriptor_that_became_another_viewers_is_left_alone() -> None:
    """A viewer leaves in the middle of a flush and its descriptor number comes back with a newcomer, who is up to date."""
    roll = Roll()
    clients = [Client(n) for n in range(3 * sender.STEP)]
    for client in clients:
        roll.add(cast("Viewer", client))
    wrote: list[int] = []
    leaver = clients[-1]
    newcomer = Client(leaver.fd)

    def write(fds: "array[int]", data: bytes) -> list[tuple[int, int]]:
        assert data == b"frame"
        if not wrote:
            roll.discard(cast("Viewer", leaver))
            roll.add(cast("Viewer", newcomer))
        wrote.extend(fds)
        return []

    done = asyncio.Event()
    Sender(write, lambda *_: None).send([(roll, b"frame")], done.set)
    await done.wait()

    assert wrote == [client.fd for client in clients[:-1]]


def _take_a_slice() -> None:
    until = perf_counter() + sender.SLICE_S
    while perf_counter() < until:
        pass


async def test_the_loop_has_its_turn_between_slices() -> None:
    """A flush that takes long lets others in: nobody waits for more than about a slice."""
    roll = Roll()
    step = sender.STEP
    for n in range(4 * step):
        roll.add(cast("Viewer", Client(n)))
    turns: list[int] = []
    written: list[int] = []

    def write(fds: "array[int]", data: bytes) -> list[tuple[int, int]]:
        assert data == b"frame"
        written.extend(fds)
        _take_a_slice()
        return []

    done = asyncio.Event()
    each = Sender(write, lambda *_: None)
    each.send([(roll, b"frame")], done.set)
    while not done.is_set():
        turns.append(len(written))
        await asyncio.sleep(0)

    assert [step, 2 * step, 3 * step] == sorted(set(turns))
    assert len(written) == 4 * step


async def test_a_writer_that_breaks_ends_its_flush() -> None:
    """Whatever it raises, in whichever slice: the flush is over, and the next one can be sent."""
    roll = Roll()
    for n in range(3 * sender.STEP):
        roll.add(cast("Viewer", Client(n)))
    written: list[int] = []

    def write(fds: "array[int]", data: bytes) -> list[tuple[int, int]]:
        if written and data == b"breaks":
            raise ZeroDivisionError
        written.extend(fds)
        _take_a_slice()
        return []

    done = asyncio.Event()
    each, told = Sender(write, lambda *_: None), list[BaseException]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    each.send([(roll, b"breaks")], done.set)
    await done.wait()
    assert (len(written), each.busy) == (sender.STEP, False)
    done.clear()
    each.send([(roll, b"whole")], done.set)
    await done.wait()
    assert len(written) == 4 * sender.STEP
    assert [type(error) for error in told] == [ZeroDivisionError]


async def test_those_who_fall_short_are_told_with_what_they_took() -> None:
    """A viewer whose buffer is full, and one that is gone, are given back; the rest is written to."""
    from gateway.fanout.writing import write_each  # noqa: PLC0415 - the real one, on real sockets

    pairs = [socket.socketpair() for _ in range(3)]
    for ours, _ in pairs:
        ours.settimeout(0)
    pairs[0][1].close()
    short: list[tuple[int, int]] = []
    roll = Roll()
    for ours, _ in pairs:
        roll.add(cast("Viewer", Client(ours.fileno())))
    data = b"x" * 3_000_000
    done = asyncio.Event()
    Sender(write_each, lambda viewer, took, _: short.append((viewer.fd, took))).send([(roll, data)], done.set)
    await eventually(done.is_set)

    assert [fd for fd, _ in short] == [ours.fileno() for ours, _ in pairs]
    assert short[0][1] == -1
    assert 0 < short[1][1] < len(data)
    for ours, theirs in pairs:
        ours.close()
        theirs.close()
