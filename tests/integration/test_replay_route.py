"""The replay's route on real gateway processes: who may read it, its head, its compression, and its pace by the real clock."""

import time
from pathlib import Path

import httpx
import pytest

from schemas.times import parse_rfc3339
from tests.backends.nats import NatsServer
from tests.cluster import cluster
from tests.processes import Client
from tests.viewer import Viewer
from tests.waits import eventually

pytestmark = pytest.mark.nats

#: Replays, of which one has to be at its pace: a test that gets no turn sees what is late, or what came early, together.
TRIES = 3


async def test_over_http(nats_server: NatsServer, tmp_path: Path) -> None:
    """What was posted a second apart plays half a second apart at double speed, from either gateway, archived or not."""
    async with cluster(nats_server, tmp_path, gateways=2) as c:
        async with await Client(c.url(0)).guest() as ada:
            stream_id = (await ada.start())["stream_id"]
            at = []
            for n in range(3):
                began = time.monotonic()
                at.append((await ada.post(stream_id, f"said {n}")).json()["at"])
                await eventually(lambda: time.monotonic() - began >= 0.8)  # noqa: B023 - awaited here
            await ada.http.post(f"/streams/{stream_id}/end")
            url = f"/api/v1/streams/{stream_id}/replay"
            lasts = (parse_rfc3339(at[2]) - parse_rfc3339(at[0])) / 1000 / 2
            paces: list[float] = []
            while len(paces) < TRIES and not (paces and 0.9 < paces[-1] < 1.7):
                viewer = Viewer(f"{c.url(1)}{url}?speed=2&from={at[0]}", gzip=True)
                came: list[float] = []
                await viewer.open()
                for n in range(3):
                    await viewer.until(lambda v: len(v.texts) > n)  # noqa: B023 - awaited here
                    came.append(time.monotonic())
                await viewer.until(lambda v: v.events[-1].name == "end")
                await viewer.ended()
                paces.append((came[-1] - came[0]) / lasts)

            assert 0.9 < paces[-1] < 1.7, paces
            assert viewer.texts == [f"said {n}" for n in range(3)]
            assert viewer.faults + viewer.gaps == []
            assert [item["type"] for item in viewer.items][-1] == "ended"
            assert viewer.response_headers["content-encoding"] == "gzip"
            assert viewer.response_headers["cache-control"] == "no-cache, no-transform"
            assert viewer.response_headers["x-accel-buffering"] == "no"
            assert viewer.response_headers["vary"] == "Accept-Encoding"
            async with httpx.AsyncClient() as client:
                refused = await client.post(f"{c.url(0)}{url}")
                wrong = await client.get(f"{c.url(0)}{url}?speed=99")
                nowhere = await client.get(f"{c.url(0)}/api/v1/streams/nothing/replay")
            assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
            assert (wrong.status_code, wrong.json()["field"]) == (422, "speed")
            assert (nowhere.status_code, nowhere.json()["code"]) == (404, "NOT_FOUND")
