"""The RTMP ports: one for all streams, plain or with TLS, on every address it is told."""

import asyncio
import errno
import ssl
from collections.abc import Sequence

from infra.clock import Clock
from infra.telemetry import logs, metrics
from workers.media.rtmp.admission import Admission
from workers.media.rtmp.connection import Connection
from workers.media.rtmp.guesses import Guesses
from workers.media.rtmp.limits import Limits
from workers.media.rtmp.peers import Peers
from workers.media.rtmp.tls import Tls
from workers.media.rtmp.wire import Wire

_LIMIT = 256 * 1024
#: What binding says where IPv6 is switched off, or an address belongs to another machine.
_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_ADVICE = {
    "total": "too many RTMP connections; raise OVATION_MAX_PUBLISHERS",
    "address": "too many RTMP connections from one address; raise OVATION_PUBLISHERS_PER_ADDRESS",
}


class Server:
    """Listens, and takes as many connections as its limits allow; the next one is closed before a byte of it is read."""

    def __init__(self, admission: Admission, limits: Limits, clock: Clock) -> None:
        self._admission = admission
        self._limits = limits
        self._peers = Peers(limits.connections, limits.per_address)
        self._guesses = Guesses(limits.bad_keys, clock)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = logs.get(__name__)

    async def listen(self, hosts: Sequence[str], port: int, context: ssl.SSLContext | None = None) -> int:
        """Listen on *port* of each of *hosts* and return it (0 chooses one, the same for all); with *context* for RTMPS.

        Addresses that this machine does not have are left out with a warning, so that the default works without IPv6.

        Raises:
            OSError: the port is taken, or none of the addresses is this machine's.
        """

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._connected(reader, writer, context)

        absent: OSError | None = None
        found = 0
        for host in hosts:
            try:
                server = await asyncio.start_server(connected, host, port, limit=_LIMIT)
            except OSError as error:
                if error.errno not in _ABSENT:
                    await self.close()
                    raise
                self._log.warning("this machine does not have an address of OVATION_RTMP_HOST", host=host)
                absent = error
            else:
                self._servers.append(server)
                found = port = int(server.sockets[0].getsockname()[1])
        if absent is not None and not found:
            raise absent
        return port

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._peers)

    async def close(self) -> None:
        """Take no more connections; those that are there go on."""
        for server in self._servers:
            server.close()

    async def closed(self) -> None:
        """End every connection that is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext | None) -> None:
        wire = Wire(reader, writer)
        full = self._peers.enter(wire.address)
        if full is not None:
            metrics.RTMP_CLOSED.labels(full).inc()
            self._log.warning(_ADVICE[full], peer=wire.address)
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(wire, context))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, wire: Wire, context: ssl.SSLContext | None) -> None:
        gauge = metrics.RTMP_CONNECTIONS.labels("rtmps" if context else "rtmp")
        gauge.inc()
        try:
            tls = Tls(context) if context is not None else None
            await Connection(wire, admission=self._admission, limits=self._limits, guesses=self._guesses, tls=tls).run()
        finally:
            gauge.dec()
            self._peers.leave(wire.address)
