"""A poor line to a server on this machine: a TCP proxy that delays, stalls and throttles, the same way for one seed.

A stall is what a lost packet looks like above TCP: nothing of that direction of the connection comes until it was sent again.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

#: Bytes of one read: some dozen packets; and before a line with a rate, where what comes at once looks like a fast line.
CHUNK = 16 * 1024
PACKETS = 3 * 1024
#: Bytes on their way in one direction of one connection; past it the sender waits, as for a full window.
WINDOW = 256 * 1024
#: Bytes that wait before a line with a rate, over all connections: a router's queue, 0.2 s at 2.6 Mbit/s. With a queue per
#: connection of a whole window each, what a player gives up is still carried for seconds before what it asks for then.
QUEUE = 64 * 1024


@dataclass
class Link:
    """What the line is like; may be changed while it is used."""

    #: Seconds there and back, and by how much that differs from chunk to chunk.
    round_trip_s: float = 0.04
    jitter_s: float = 0.02
    #: The share of chunks that stall, and for how long: Linux sends again after 200 ms at the least.
    stalls: float = 0.01
    stall_s: float = 0.25
    #: Bytes per second towards the viewers, over all connections; 0 for no limit.
    rate: float = 0.0
    seed: int = 1
    port: int = 0
    #: What has passed towards the viewers.
    carried: int = 0
    stalled: int = 0
    #: Bytes before a line with a rate, and who waits until there is room for more.
    queued: int = 0
    held: "list[_Side]" = field(default_factory=list)
    _random: random.Random = field(init=False)
    _free: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def due(self, now: float, size: int, *, down: bool) -> float:
        """When *size* bytes that were sent *now* arrive."""
        leaves = now
        if down:
            self.carried += size
            if self.rate:
                self._free = leaves = max(now, self._free) + size / self.rate
        takes = self.round_trip_s / 2 + self._random.uniform(-0.5, 0.5) * self.jitter_s
        if self._random.random() < self.stalls:
            self.stalled += 1
            takes += self.stall_s
        return leaves + max(0.0, takes)


class _Side(asyncio.BufferedProtocol):
    """One end of a connection; what it receives leaves by the other."""

    def __init__(self, link: Link, *, down: bool) -> None:
        self._link = link
        self._down = down
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(CHUNK)
        self._due = 0.0
        self._flying = 0
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # every transport here is one
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's own signature
        return memoryview(self._buffer)[: PACKETS if self._down and self._link.rate else CHUNK]

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._buffer[:nbytes])
        self._flying += nbytes
        if self._flying > WINDOW and self.transport is not None:
            self.transport.pause_reading()
        if self._down:
            self._link.queued += nbytes
            if self._link.rate and self._link.queued > QUEUE and self.transport is not None:
                self.transport.pause_reading()
                self._link.held.append(self)
        self._schedule(nbytes, partial(self._deliver, data))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        self._schedule(0, self._close_other)

    def _schedule(self, size: int, act: Callable[[], None]) -> None:
        # In order, whatever each takes by itself; two timers of one moment would not be.
        self._due = max(self._due + 1e-6, self._link.due(self._loop.time(), size, down=self._down))
        self._loop.call_at(self._due, act)

    def _deliver(self, data: bytes) -> None:
        self._flying -= len(data)
        if self.other is not None and self.other.transport is not None and not self.other.transport.is_closing():
            self.other.transport.write(data)
        self._go_on()
        if self._down:
            self._link.queued -= len(data)
            if self._link.queued <= QUEUE:
                held, self._link.held = self._link.held, []
                for each in held:
                    each._go_on()  # noqa: SLF001 - another of this class

    def _go_on(self) -> None:
        waits = self._flying > WINDOW or self in self._link.held
        if not waits and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def _close_other(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


@asynccontextmanager
async def lossy(port: int, link: Link | None = None) -> AsyncIterator[Link]:
    """Stand before *port* of this machine, on a port of its own, which is the link's."""
    loop, line = asyncio.get_running_loop(), link or Link()
    sides: set[_Side] = set()
    connecting: set[asyncio.Task[None]] = set()

    async def connect(viewer: _Side) -> None:
        try:
            _, server = await loop.create_connection(lambda: _Side(line, down=True), "127.0.0.1", port)
        except OSError:
            if viewer.transport is not None:
                viewer.transport.close()
            return
        sides.add(server)
        viewer.other, server.other = server, viewer
        if viewer.transport is not None and not viewer.transport.is_closing():
            viewer.transport.resume_reading()

    class Viewer(_Side):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # every transport here is one
            super().connection_made(transport)
            assert self.transport is not None
            self.transport.pause_reading()
            sides.add(self)
            task = loop.create_task(connect(self))
            connecting.add(task)
            task.add_done_callback(connecting.discard)

    listener = await loop.create_server(lambda: Viewer(line, down=False), "127.0.0.1", 0)
    line.port = listener.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        listener.close()
        for task in connecting:
            task.cancel()
        for side in sides:
            if side.transport is not None:
                side.transport.abort()
        await listener.wait_closed()
