"""Gateways restarted one after the other under load: nobody is refused, nothing is lost, every chain holds."""

import asyncio
import itertools
import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.crowd import side_by_side
from tests.listener import close_all
from tests.ups import Up, running
from tests.viewer import Viewer
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.e2e]

VIEWERS = 200
#: Half of them open a connection for every comment, half keep theirs.
AUTHORS = 6
#: Seconds between two comments of one author.
PACE_S = 0.15
#: A viewer that was sent away comes back after this.
BACK_S = 0.5
NAMES = ["gateway-0", "gateway-1"]


class Load:
    """Authors and viewers who write down whatever goes wrong for them."""

    def __init__(self, up: Up, stream_id: str) -> None:
        self.up = up
        self.stream_id = stream_id
        self.seqs: list[int] = []
        #: Connections refused or cut before an answer, and answers that are no success.
        self.failures: list[str] = []
        self.viewers: list[Viewer] = []
        self._leaving = asyncio.Event()

    async def post(self, number: int) -> None:
        """Post until `stop_posting`, each comment once and with a key."""
        async with await self.up.client().guest(f"Author {number}") as guest:
            token = guest.http.headers["Authorization"]
        kept = AUTHORS if number % 2 else 0
        async with httpx.AsyncClient(
            base_url=f"{self.up.url}/api/v1/streams/{self.stream_id}",
            headers={"Authorization": token},
            limits=httpx.Limits(max_keepalive_connections=kept),
            timeout=30,
        ) as client:
            for n in itertools.count():
                try:
                    answer = await client.post(
                        "/comments", json={"text": f"{number}: {n}"}, headers={"Idempotency-Key": f"{number}-{n}"}
                    )
                except httpx.HTTPError as error:
                    self.failures.append(f"post: {error!r}")
                else:
                    if answer.status_code in (200, 201):
                        self.seqs.append(answer.json()["seq"])
                    else:
                        self.failures.append(f"post: {answer.status_code} {answer.text}")
                if await _within(PACE_S, self._leaving):
                    return

    async def watch(self, number: int) -> None:
        """Watch for ever, coming back with the last id whenever the connection ends."""
        viewer = Viewer(f"{self.up.url}/api/v1/streams/{self.stream_id}/events", gzip=bool(number % 2), backfill=0)
        self.viewers.append(viewer)
        while True:
            try:
                await viewer.open()
            except (OSError, EOFError) as error:
                self.failures.append(f"events: {error!r}")
            else:
                if viewer.status != 200:
                    self.failures.append(f"events: {viewer.status}")
                await viewer.ended(timeout_s=3600)
            await _within(BACK_S, asyncio.Event())

    def stop_posting(self) -> None:
        """Authors finish the comment they are at."""
        self._leaving.set()


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for *event*, at most *seconds*; whether it came."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _restarted(up: Up, names: list[str], before: dict[str, int]) -> None:
    """Wait until each of *names* is ready with another process than *before*."""
    await eventually(
        lambda: all(up.row(name).get("state") == "ready" and up.row(name)["pid"] not in (None, before[name]) for name in names),
        timeout=40,
    )


async def _restart_all(up: Up, load: Load) -> None:
    """SIGTERM to one gateway after the other, which `up` starts again; then SIGHUP, and comments after the last of it."""
    for name in NAMES:
        pids = _pids(up)
        os.kill(pids[name], signal.SIGTERM)
        await _restarted(up, [name], pids)
    pids = _pids(up)
    up.signal(signal.SIGHUP)
    await _restarted(up, NAMES, pids)
    after = len(load.seqs)
    await eventually(lambda: len(load.seqs) > after + 20)


def _pids(up: Up) -> dict[str, int]:
    return {name: int(up.row(name)["pid"]) for name in NAMES}


async def test_a_rolling_restart_refuses_nobody_and_loses_nothing(tmp_path: Path) -> None:
    """200 viewers, authors without pause, and each of two gateways ended by SIGTERM in turn; then SIGHUP, which does both.

    No connection is refused or cut before its answer, every post is answered 201, and every viewer has all of it in order.
    """
    limits = {"limit_user_stream": "1000/1", "limit_user": "1000/1"}
    async with running(tmp_path, gateways=2, drain_s=2, **limits) as up:
        async with await up.client().guest() as host:
            stream_id = (await host.start())["stream_id"]
        load = Load(up, stream_id)
        watching = [asyncio.create_task(load.watch(n)) for n in range(VIEWERS)]
        posting = [asyncio.create_task(load.post(n)) for n in range(AUTHORS)]
        async with asyncio.timeout(150), side_by_side(*watching, *posting):
            await eventually(lambda: sum(bool(v.events) for v in load.viewers) == VIEWERS)
            await _restart_all(up, load)
            load.stop_posting()
            await asyncio.gather(*posting)
            for viewer in load.viewers:
                await viewer.until(lambda v: len(v.items) >= len(load.seqs))

        await close_all()
        assert load.failures == []
        assert sum(viewer.connections for viewer in load.viewers) > 2 * VIEWERS
        for viewer in load.viewers:
            assert (viewer.faults, viewer.gaps) == ([], [])
            assert viewer.seqs == sorted(load.seqs)
        for name in NAMES:
            assert "Traceback" not in (up.data / "log" / f"{name}.log").read_text()


async def test_one_gateway_restarts_behind_its_socket(tmp_path: Path) -> None:
    """With a single gateway whoever connects meanwhile waits in the queue of the socket that `up` holds, and is answered."""
    async with running(tmp_path, drain_s=0) as up:
        before = {"gateway-0": int(up.row("gateway-0")["pid"])}
        up.signal(signal.SIGHUP)
        async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_keepalive_connections=0)) as client:

            async def asked() -> bool:
                assert (await client.get(f"{up.url}/api/v1/streams")).status_code == 200
                row = up.row("gateway-0")
                return bool(row["state"] == "ready" and row["pid"] not in (None, before["gateway-0"]))

            await eventually(asked)
