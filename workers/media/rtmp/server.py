"""The RTMP port: one for all streams, on every address it is told."""

import asyncio
import errno
from collections.abc import Sequence

from infra.telemetry import logs
from workers.media.broadcasts import Broadcasts
from workers.media.rtmp.connection import Connection

_LIMIT = 256 * 1024
#: What binding says where IPv6 is switched off, or an address belongs to another machine.
_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class Server:
    """Listens, and takes at most *most* connections at once; the next one is closed before a byte of it is read."""

    def __init__(self, broadcasts: Broadcasts, most: int) -> None:
        self._broadcasts = broadcasts
        self._most = most
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = logs.get(__name__)

    async def listen(self, hosts: Sequence[str], port: int) -> int:
        """Listen on *port* of each of *hosts* and return it (0 chooses one, the same for all).

        Addresses that this machine does not have are left out with a warning, so that the default works without IPv6.

        Raises:
            OSError: the port is taken, or none of the addresses is this machine's.
        """
        absent: OSError | None = None
        for host in hosts:
            try:
                server = await asyncio.start_server(self._connected, host, port, limit=_LIMIT)
            except OSError as error:
                if error.errno not in _ABSENT:
                    await self.close()
                    raise
                self._log.warning("this machine does not have an address of OVATION_RTMP_HOST", host=host)
                absent = error
            else:
                self._servers.append(server)
                port = int(server.sockets[0].getsockname()[1])
        if absent is not None and not self._servers:
            raise absent
        return port

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._tasks)

    async def close(self) -> None:
        """Take no more connections; those that are there go on."""
        for server in self._servers:
            server.close()

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
