"""Gateways and an archive as real processes around one NATS and one store: a cluster on one machine."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from infra.environment import load
from tests.backends.nats import NatsServer
from tests.broker import broker
from tests.listener import close_all
from tests.ports import free_port
from tests.processes import Process, killed_after
from tests.waits import eventually


@dataclass
class Cluster:
    """The processes and where they are."""

    nats: NatsServer
    gateways: list[Process]
    archive: Process | None
    ports: list[int]
    nats_url: str

    def url(self, gateway: int) -> str:
        """A gateway's address."""
        return f"http://127.0.0.1:{self.ports[gateway]}"

    def events(self, gateway: int, stream_id: str) -> str:
        """A stream's events on a gateway."""
        return f"{self.url(gateway)}/api/v1/streams/{stream_id}/events"

    async def archived(self, stream_id: str, comments: int) -> None:
        """Wait until the archive has acknowledged everything in the live log."""

        async def done() -> bool:
            async with broker(self.nats_url, apply=False) as b:
                answer = await b.connection.request("$JS.API.CONSUMER.INFO.LIVE_0.archive")
                info = httpx.Response(200, content=answer.data).json()
                return int(info["num_pending"]) == 0 and int(info["num_ack_pending"]) == 0

        await eventually(done)
        async with httpx.AsyncClient() as client:
            page = (await client.get(f"{self.url(0)}/api/v1/streams/{stream_id}/comments?limit=1")).json()
            assert (page["total"], page["total_is_exact"]) == (comments, True), page

    async def purge_live_log(self) -> None:
        """Take everything out of the live log, as age does after a day."""
        async with broker(self.nats_url, apply=False) as b:
            await b.connection.request("$JS.API.STREAM.PURGE.LIVE_0")


@asynccontextmanager
async def cluster(
    nats: NatsServer,
    folder: Path,
    *,
    gateways: int = 1,
    limits: str = "1000/1",
    no_ring: tuple[int, ...] = (),
    archive: bool = True,
    nats_urls: tuple[str, ...] = (),
    drain_s: float = 0.2,
    **settings: object,
) -> AsyncIterator[Cluster]:
    """Start gateways and an archive; `no_ring` lists gateways without a ring, `nats_urls` their own routes to NATS."""
    async with broker(nats.url, apply=False) as b:
        await b.connection.request("$JS.API.STREAM.DELETE.LIVE_0")
    ports = [free_port() for _ in range(gateways)]
    shared: dict[str, object] = {
        "data_dir": folder / "data",
        "jwt_secret": secrets.token_hex(32),
        "ops_port": 0,
        "limit_user_stream": limits,
        "limit_user": limits,
        "drain_s": drain_s,
        "log_format": "json",
        **settings,
    }
    processes = []
    for n, port in enumerate(ports):
        own = {"http_port": port, "nats_url": nats_urls[n] if n < len(nats_urls) else nats.url}
        ring: dict[str, object] = {"ring_bytes": 0} if n in no_ring else {}
        processes.append(Process("gateway", log=folder / f"gateway-{n}.log", **{**shared, **own, **ring}))
    worker = Process("worker", "archive", log=folder / "archive.log", **{**shared, "nats_url": nats.url})
    settings_of_broker = {name: str(shared[name]) for name in shared if name.startswith("limit_")}
    await _apply(nats, settings_of_broker)
    started = [*processes, worker] if archive else processes
    with killed_after(*started):
        for process in started:
            process.start()
        for process in started:
            await process.ready()
        try:
            yield Cluster(nats, processes, worker if archive else None, ports, nats.url)
        finally:
            await close_all()


async def _apply(nats: NatsServer, settings: dict[str, str]) -> None:
    loaded = load({f"OVATION_{name.upper()}": value for name, value in settings.items()})
    async with broker(nats.url, loaded):
        pass
