"""A media worker that stops answering: another takes its stream, and what the stopped one does afterwards changes nothing."""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from bench.broadcast import Broadcast, broadcast
from tests.hls import playlist
from tests.hls.client import check
from tests.waits import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.media, pytest.mark.nats, pytest.mark.timeout(180)]

#: What a worker's key outlives it by, and what these two cores may add until a first segment is seen.
LEASE_S, SEEN_S = 10.0, 20.0
#: How long a client reads on.
WATCHED_S = 12.0
#: What a client finds while nothing comes: reloads that wait, and the hint of a worker that is gone.
WHILE_AWAY = {"late", "blocking", "hint", "reload", "gone", "refusal"}


@pytest.fixture(name="live", params=[signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
async def _live(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Broadcast, signal.Signals]]:
    async with broadcast(size=(320, 180), rate="500k", workers=2, settings={"transcode_heights": 0}) as made:
        yield made, request.param


def is_outdated(line: str) -> bool:
    """Whether all that changed is that a segment from before the outage is a gap now: nobody who joins is to see it."""
    before, _, after = re.sub(r"parts of \d+, ", "", line.removeprefix("steady: source: ")).partition(" became ")
    return "gap=True" in after and before.partition(", gap=")[0] == after.partition(", gap=")[0]


class Seen:
    """The source's playlist as viewers get it."""

    def __init__(self, live: Broadcast, http: httpx.AsyncClient) -> None:
        self._url = f"{live.url}{live.folder}source/index.m3u8"
        self._http = http

    async def now(self) -> playlist.Media:
        """Read it."""
        answer = await self._http.get(self._url)
        assert answer.status_code == 200
        return playlist.read(answer.content)

    async def generations(self) -> list[int]:
        """Of its segments, in order."""
        return [int(re.split("[-.]", each.uri)[1]) for each in (await self.now()).segments if not each.gap]


async def test_another_worker_takes_over(live: tuple[Broadcast, signal.Signals]) -> None:
    """Its encoder goes to the other: seen within the lease, one discontinuity, no segment of the old generation after it."""
    made, how = live
    async with httpx.AsyncClient(timeout=30) as http:
        seen = Seen(made, http)
        before = await seen.now()
        old = (await seen.generations())[-1]
        watching = asyncio.create_task(check(made.master, WATCHED_S))
        made.workers[0].signal(how)
        began = time.monotonic()
        # The first encoder's connection hangs, or is cut; it comes again by another one.
        async with made.publish(1):

            async def goes_on() -> bool:
                return (await seen.generations())[-1] > old

            await eventually(goes_on, timeout=LEASE_S + SEEN_S)
            took = time.monotonic() - began
            assert took < LEASE_S + SEEN_S
            if how == signal.SIGSTOP:
                made.workers[0].signal(signal.SIGCONT)
            new, number = (await seen.generations())[-1], (await seen.now()).sequence
            assert (await seen.now()).segments[-1].discontinuity == before.segments[-1].discontinuity + 1

            async def has_passed() -> bool:
                # Never back to the old one; and the window moves on until nothing else is in it.
                found = await seen.generations()
                assert found == sorted(found)
                assert found[-1] == new
                return (await seen.now()).sequence > number + 8

            await eventually(has_passed, timeout=60)
            assert set(await seen.generations()) == {new}
            # Woken, the old one refuses what had queued up for it.
            assert (await made.encoder.finished())[0] != 0
            report = await watching
    assert [line for line in report.broken if line.partition(":")[0] not in WHILE_AWAY and not is_outdated(line)] == []
    assert report.looked["part"] > 5
