"""People who do not give up: authors who post until answered, viewers who come back, an encoder that starts again."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.cluster import Cluster
from tests.encoders import Encoder, picture_and_tone
from tests.processes import Client
from tests.viewer import Viewer

#: Shorter than a pause of a process, so that retries reach another gateway while the first still has the request.
ATTEMPT_S = 1.5
#: What a page waits at least before it connects again.
AGAIN_S = 0.1


class Crowd:
    """Everybody who posts to and watches one stream."""

    def __init__(self, cluster: Cluster, stream_id: str) -> None:
        self.cluster = cluster
        self.stream_id = stream_id
        #: text -> seq of everything that was answered with 201, or with 200 on a retry.
        self.posted: dict[str, int] = {}
        self.attempts = 0
        self.refusals: list[str] = []
        self.viewers: list[Viewer] = []
        self._numbers = itertools.count()
        self._leaving = asyncio.Event()

    async def post(self, name: str) -> None:
        """Post one comment after the other until `leave`; each with one key, on either gateway, until it is answered."""
        async with await Client(self.cluster.url(0)).guest(name) as guest:
            token = guest.http.headers["Authorization"].partition(" ")[2]
        clients = [Client(self.cluster.url(n), token) for n in range(len(self.cluster.gateways))]
        for client in clients:
            client.http.timeout = httpx.Timeout(ATTEMPT_S)
        try:
            while not self._leaving.is_set():
                number = next(self._numbers)
                await self._until_answered(clients, f"comment {number}", number)
        finally:
            for client in clients:
                await client.http.aclose()

    async def _until_answered(self, clients: list[Client], text: str, number: int) -> None:
        for attempt in itertools.count(number):
            self.attempts += 1
            try:
                answer = await clients[attempt % len(clients)].post(self.stream_id, text, f"key {number}")
            except httpx.HTTPError:
                pass
            else:
                if answer.is_success:
                    self.posted[text] = answer.json()["seq"]
                    return
                if answer.status_code != 503:
                    self.refusals.append(answer.text)
                    return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), AGAIN_S)

    async def watch(self, gateway: int, *, gzip: bool) -> None:
        """Watch for ever; a connection that ends is opened again with the last id, on each gateway in turn."""
        viewer = Viewer("", gzip=gzip, backfill=0)
        self.viewers.append(viewer)
        for turn in itertools.count(gateway):
            viewer.url = self.cluster.events(turn % len(self.cluster.gateways), self.stream_id)
            try:
                await viewer.open()
            except (OSError, EOFError):
                await asyncio.wait([asyncio.create_task(self._leaving.wait())], timeout=AGAIN_S)
            else:
                await viewer.ended(timeout_s=3600)

    async def broadcast(self, target: str) -> None:
        """Publish for ever; an encoder that ends is started again, as OBS does."""
        while True:
            encoder = await Encoder.start(target, *picture_and_tone(600))
            try:
                await encoder.finished(600)
            finally:
                encoder.kill()
                await encoder.process.wait()

    def leave(self) -> None:
        """Authors finish the comment they are at, and end."""
        self._leaving.set()


@asynccontextmanager
async def side_by_side(*work: "asyncio.Task[None]") -> AsyncIterator[None]:
    """Run *work* beside the block; what fails there fails the test, what still runs at the end is ended."""
    try:
        yield
        for task in work:
            if task.done():
                task.result()
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
