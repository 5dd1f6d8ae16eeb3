"""The RTMP port: one for all streams, on every address it is told."""

import asyncio
from collections.abc import Sequence

from infra.telemetry import logs
from workers.media.broadcasts import Broadcasts
from workers.media.rtmp.connection import Connection


class Server:
    """Listens, and takes at most *most* connections at once; the next one is closed before a byte of it is read."""

    def __init__(self, broadcasts: Broadcasts, most: int) -> None:
        self._broadcasts = broadcasts
        self._most = most
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = logs.get(__name__)

    async def listen(self, hosts: Sequence[str], port: int) -> int:
        """Listen on *port* of each of *hosts* and return it (0 chooses one, the same for all).

        Raises:
            OSError: an address is not this machine's, or the port is taken.
        """
        if port == 0 and len(hosts) > 1:
            first = await asyncio.start_server(self._connected, hosts[0], 0)
            port = first.sockets[0].getsockname()[1]
            first.close()
            await first.wait_closed()
        self._server = await asyncio.start_server(self._connected, list(hosts), port, limit=256 * 1024)
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._tasks)

    async def close(self) -> None:
        """Take no more connections; those that are there go on."""
        if self._server is not None:
            self._server.close()

    async def closed(self) -> None:
        """End every connection that is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= self._most:
            self._log.warning("too many RTMP connections; raise OVATION_MAX_PUBLISHERS", most=self._most)
            writer.transport.abort()
            return
        task = asyncio.create_task(Connection(reader, writer, self._broadcasts).run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
