"""A gateway in front of a filled store, asked for pages over HTTP as people ask."""

import asyncio
import base64
import http.client
import json
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

from bench.asks import Ask
from bench.evenings import Show
from bench.servers import apply_topology, wait_ready
from schemas.records import Broadcaster, StreamRecord
from schemas.times import rfc3339
from tests.backends.nats import NatsServer
from tests.broker import broker
from tests.ports import free_port
from tests.processes import Process

ADA = Broadcaster(id="ada", name="Ada")


class Door:
    """One connection to one gateway, kept open."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path, store_url: str, shows: Iterable[Show]) -> AsyncIterator[Self]:
        """A broker and a gateway on the store at *store_url*, to which *shows* are streams that are on the air."""
        with ExitStack() as ends:
            nats = NatsServer(folder / f"nats-{secrets.token_hex(4)}").start()
            ends.callback(nats.kill)
            port = free_port()
            settings: dict[str, object] = {
                "data_dir": folder / "data",
                "jwt_secret": secrets.token_hex(32),
                "ops_port": 0,
                "http_port": port,
                "drain_s": 0,
                "log_format": "json",
                "nats_url": nats.url,
                "store_url": store_url,
            }
            apply_topology(folder, settings)
            async with broker(nats.url, apply=False) as b:
                for show in shows:
                    begun = show.times[0]
                    record = StreamRecord(
                        stream_id=show.stream_id, broadcaster=ADA, title="t", key_sha256="", created_at=begun, started_at=begun
                    )
                    await b.records.create(record)
            gateway = Process("gateway", log=folder / "gateway.log", **settings).start()
            ends.callback(gateway.kill)
            await asyncio.to_thread(wait_ready, gateway)
            yield cls(port)

    async def page(self, stream_id: str, ask: Ask, limit: int) -> int:
        """Ask for a page; how many comments it has. Nothing else runs in this process meanwhile."""
        asked: dict[str, object] = {"limit": limit, "sort": "desc" if ask.descending else "asc"}
        if ask.cursor is not None:
            # What the page before it would have given as `next_cursor`.
            asked["cursor"] = base64.urlsafe_b64encode(b"s%d" % ask.cursor).decode()
        if ask.offset:
            asked["offset"] = ask.offset
        if ask.from_ms is not None:
            asked["from_time"] = rfc3339(ask.from_ms)
        if ask.to_ms is not None:
            asked["to_time"] = rfc3339(ask.to_ms)
        self._connection.request("GET", f"/api/v1/streams/{stream_id}/comments?{urlencode(asked)}")
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise AssertionError(body.decode())
        return len(json.loads(body)["comments"])
