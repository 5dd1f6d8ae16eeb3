"""The stage of the tests of gateways."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.backends.nats import NatsServer
from tests.broker import broker
from tests.cluster import cluster
from tests.hls.scripted import scripted
from tests.hls.stage import PART, PLAYLIST, Stage, new_stream
from tests.waits import eventually


@pytest.fixture(name="s")
async def _s(request: pytest.FixtureRequest, nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Stage]:
    count: int = getattr(request, "param", 1)
    async with cluster(nats_server, tmp_path, gateways=count, archive=False, media_url=f"file://{tmp_path}/media") as c:
        async with broker(nats_server.url, apply=False) as b, httpx.AsyncClient(timeout=40) as http:
            stream_id = await new_stream(b)
            async with scripted(stream_id) as worker:
                worker.playlist("source/index.m3u8", PLAYLIST)
                worker.playlist("master.m3u8", b"#EXTM3U\n")
                worker.piece("source/part-9.m4s", PART)
                await worker.own(b, 1)
                stage = Stage(c, b, worker, stream_id, http)

                async def known() -> bool:
                    return all([(await stage.get("master.m3u8", n)).status_code == 200 for n in range(count)])

                await eventually(known)
                yield stage
