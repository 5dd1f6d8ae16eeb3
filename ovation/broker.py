"""The nats-server that `up` starts: its command line, when it is ready, and an internal port like everybody else's."""

import asyncio
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec

from infra import ports
from infra.jetstream.topology import folder
from infra.telemetry.answers import Answer
from infra.telemetry.ops import OpsServer, Readiness
from ovation.programs import NATS_SERVER
from ovation.supervisor import Program

HOST = "127.0.0.1"
ASK_S = 1.0
#: What is told of nats-server's own numbers: of /varz, and of /jsz.
SERVER = (
    *("connections", "total_connections", "subscriptions", "slow_consumers", "mem", "cpu"),
    *("in_msgs", "out_msgs", "in_bytes", "out_bytes"),
)
JETSTREAM = ("memory", "storage", "streams", "consumers", "messages", "bytes")


class BrokerOps(OpsServer):
    """/healthz, /readyz and /metrics for nats-server, which itself has the first of them alone."""

    def __init__(self, host: str) -> None:
        """*host* is where it listens, on a free port."""
        super().__init__(Readiness(), host, 0)
        #: The port of nats-server's own monitoring, for its command line.
        self.monitor = ports.free()

    async def answer(self, path: str, query: str) -> Answer:
        """Ask nats-server, and say the same in our form."""
        match path:
            case "/healthz":
                # Whatever it answers, it is alive.
                return await super().answer(path, query) if await self._ask("/varz") else _away()
            case "/readyz":
                healthy = await self._ask("/healthz") or {"error": "it does not answer"}
                self._readiness.expect("nats", "" if healthy.get("status") == "ok" else str(healthy.get("error", "not ready")))
                return await super().answer(path, query)
            case "/metrics":
                server, jetstream = await self._ask("/varz"), await self._ask("/jsz")
                if server is None or jetstream is None:
                    return _away()
                lines = [f"nats_server_{name} {server.get(name, 0)}" for name in SERVER]
                lines += [f"nats_jetstream_{name} {jetstream.get(name, 0)}" for name in JETSTREAM]
                return Answer(200, "text/plain; version=0.0.4", "".join(f"{line}\n" for line in lines).encode())
            case _:
                return await super().answer(path, query)

    async def _ask(self, path: str) -> dict[str, Any] | None:
        return await asyncio.to_thread(_fetched, f"http://{HOST}:{self.monitor}{path}")


def program(
    port: int, monitor: int, store: Path, environment: dict[str, str], ops_url: str, *, retell: bool = False
) -> Program:
    """What to run: a server on *port* that keeps its logs in *store*; what it prints is retold as JSON where *retell*."""
    arguments = ["-c", str(folder() / "nats-server.conf"), "-a", HOST, "-p", str(port)]

    async def ready() -> bool:
        try:
            async with asyncio.timeout(ASK_S):
                reader, writer = await asyncio.open_connection(HOST, port)
                banner = await reader.read(4)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return banner == b"INFO"

    return Program(
        name="nats",
        command=[str(NATS_SERVER), *arguments, "-js", "-sd", str(store), "-m", str(monitor)],
        environment=environment,
        url=f"nats://{HOST}:{port}",
        ops_url=ops_url,
        ready=ready,
        retell=retell,
    )


def _away() -> Answer:
    return Answer(503, "text/plain", b"nats-server does not answer\n")


def _fetched(url: str) -> dict[str, Any] | None:
    """A JSON document, of an error too; `None` when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=ASK_S) as answer:  # noqa: S310 - an address of our own
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except OSError:
        return None
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}
