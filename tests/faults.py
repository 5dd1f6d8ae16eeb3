"""A TCP proxy that breaks links the way networks do: cut, silent, slow, or cut after an exact number of bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 64 * 1024
#: Chunks on their way to one client; past them the server is not read.
ON_THEIR_WAY = 1000


class FaultProxy:
    """Stands between a client and `127.0.0.1:upstream`; what it breaks applies to links of now and of later."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.port = 0
        #: Seconds each chunk waits, either way.
        self.delay = 0.0
        #: Bytes a link carries towards the client before it is cut; None for no bound.
        self.cut_after: int | None = None
        #: Chunks that wait for `heal`.
        self.held = 0
        #: Links taken so far.
        self.links = 0
        self._refusing = False
        self._flowing, self._answering = asyncio.Event(), asyncio.Event()
        self._flowing.set()
        self._answering.set()
        self._links: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def before(cls, upstream: int) -> AsyncIterator["FaultProxy"]:
        """A proxy on a free port before the local port *upstream*."""
        proxy = cls(upstream)
        server = await asyncio.start_server(proxy._join, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            proxy.cut()
            server.close()
            for pump in list(proxy._pumps):
                pump.cancel()
            await asyncio.gather(*proxy._pumps, return_exceptions=True)

    def cut(self) -> None:
        """Reset every link and refuse new ones until `heal`."""
        self._refusing = True
        for writer in list(self._links):
            writer.transport.abort()

    def cut_once(self) -> None:
        """Reset the links of now; new ones are taken."""
        self.cut()
        self._refusing = False

    def hush(self) -> None:
        """Half-open: links stay, new ones are taken, and not a byte passes until `heal`."""
        self._flowing.clear()

    def hush_answers(self) -> None:
        """What clients say arrives, and not a byte comes back to them until `heal`."""
        self._answering.clear()

    def heal(self) -> None:
        """Undo all of it."""
        self._refusing, self.delay, self.cut_after = False, 0.0, None
        self._flowing.set()
        self._answering.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, up_writer}
        self.links += 1
        self._links |= ends
        if self._refusing:
            for end in ends:
                end.transport.abort()
        pumps = {
            asyncio.create_task(self._pump(reader, up_writer, None)),
            asyncio.create_task(self._pump(up_reader, writer, self.cut_after, self._answering)),
        }
        self._pumps |= pumps
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.transport.abort()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._links -= ends
        self._pumps -= pumps

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, left: int | None, gate: asyncio.Event | None = None
    ) -> None:
        with suppress(OSError):
            while data := await source.read(CHUNK if left is None else max(1, min(CHUNK, left))):
                if self.delay:
                    await asyncio.sleep(self.delay)
                self.held += 1
                await self._flowing.wait()
                if gate is not None:
                    await gate.wait()
                self.held -= 1
                sink.write(data)
                await sink.drain()
                if left is not None:
                    left -= len(data)
                    if left <= 0:
                        # Closed rather than reset, so that the client gets exactly this many bytes.
                        sink.close()
                        await sink.wait_closed()
                        return


class LateProxy(FaultProxy):
    """As `FaultProxy`; `lag` is by how many seconds each answer is late; those behind one wait no longer for it."""

    lag = 0.0

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, left: int | None, gate: asyncio.Event | None = None
    ) -> None:
        if gate is None:
            await super()._pump(source, sink, left, gate)
            return
        clock = asyncio.get_running_loop().time
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(ON_THEIR_WAY)

        async def take() -> None:
            with suppress(OSError):
                while data := await source.read(CHUNK):
                    await late.put((clock() + self.lag, data))
            await late.put((0.0, b""))

        taking = asyncio.create_task(take())
        try:
            with suppress(OSError):
                while (chunk := await late.get())[1]:
                    await asyncio.sleep(max(0.0, chunk[0] - clock()))
                    sink.write(chunk[1])
                    await sink.drain()
        finally:
            taking.cancel()
