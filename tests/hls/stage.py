"""Gateways, a stream, and a scripted worker that owns it."""

import asyncio
from dataclasses import dataclass

import httpx

from schemas.records import Broadcaster, Privacy, Status, StreamRecord
from tests.broker import Broker, fresh_stream
from tests.cluster import Cluster
from tests.hls.scripted import Scripted
from tests.waits import PATIENCE_S
from tests.wires import Answer, wire

PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:9\n" + b"#EXT-X-PROGRAM-DATE-TIME:2026-11-21T10:00:00.000Z\n" * 20
PART = bytes(range(256)) * 200
NEXT = "source/index.m3u8?_HLS_msn=7&_HLS_part=3"


@dataclass
class Stage:
    """A gateway or two, a stream, and the worker that owns it."""

    c: Cluster
    b: Broker
    worker: Scripted
    stream_id: str
    http: httpx.AsyncClient

    def url(self, path: str, gateway: int = 0) -> str:
        """A public address."""
        return f"{self.c.url(gateway)}/hls/{self.stream_id}/{path}"

    async def get(self, path: str, gateway: int = 0, **headers: str) -> httpx.Response:
        """Ask for it."""
        return await self.http.get(self.url(path, gateway), headers=headers)

    async def raw(self, path: str, *lines: str, gateway: int = 0, method: str = "GET") -> Answer:
        """Ask for it by hand."""
        async with wire(self.c.ports[gateway]) as line:
            head = [f"{method} /hls/{self.stream_id}/{path} HTTP/1.1", "Host: x", *lines]
            line.send("\r\n".join(head).encode() + b"\r\n\r\n")
            async with asyncio.timeout(PATIENCE_S):
                top = (await line.reader.readuntil(b"\r\n\r\n")).decode()
            first, *rest = top.strip().split("\r\n")
            headers = dict(each.split(": ", 1) for each in rest)
            length = 0 if method == "HEAD" else int(headers["content-length"])
            return Answer(int(first.split()[1]), headers, await line.reader.readexactly(length))

    async def metric(self, name: str, gateway: int = 0) -> float:
        """A gateway's metric."""
        text = (await self.http.get(f"{self.c.gateways[gateway].ops_url}/metrics")).text
        found = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(found[0]) if found else 0.0


async def new_stream(b: Broker, privacy: Privacy = "public", status: Status = "live") -> str:
    """A stream's record, as it is while its video is live."""
    stream_id = fresh_stream()
    owner = Broadcaster(id="ada", name="Ada")
    await b.records.create(
        StreamRecord(
            stream_id=stream_id,
            broadcaster=owner,
            title="A stream",
            status=status,
            privacy=privacy,
            key_sha256="",
            created_at=1,
        )
    )
    return stream_id
