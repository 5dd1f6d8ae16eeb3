"""A gateway and an archive over three CQL nodes, under a steady load, with everything measured that a lost node could change.

Comments come two ways: straight into the live log, acknowledged by it as a gateway's are, and some posted to the gateway with
keys as the page does. A viewer counts what reaches it, readers ask for pages, old and new ones, and the archive's own
consumer says how far it has come.
"""

import asyncio
import itertools
import json
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx

from infra.errors import Unavailable
from infra.scylla import Address, migrate
from schemas import codec, subjects
from schemas.items import Comment, User
from schemas.times import rfc3339
from tests.backends.cassandraring import CassandraRing
from tests.backends.nats import NatsServer
from tests.broker import Broker, broker
from tests.cluster import Cluster, cluster
from tests.processes import Client
from tests.viewer import Viewer
from tests.waits import eventually

LOG = "LIVE_0"
TEXT = "a comment of the usual length, with some words in it "
#: Of a second: how often comments are handed over, and how often the archive is asked how far it is.
TICK_S = 0.05
#: A page that has not come by then is a failure of its own.
PATIENCE_S = 10.0
#: Nothing is sampled away and nobody is limited: what does not arrive is lost.
POLICY = "0:0:1000000:1.0:0"


class Read(NamedTuple):
    """One page or post: when it was due, how long it took, and what came (0: nothing at all)."""

    at: float
    took: float
    status: int


class Progress(NamedTuple):
    """How much of the log is archived and how much there is, at a time."""

    at: float
    archived: int
    last: int


class Scene:
    """What runs, what is known of it so far, and the questions asked of it."""

    def __init__(self, place: Cluster, b: Broker, stream_id: str, people: Client, address: Address) -> None:
        self.cluster, self.address, self.stream_id = place, address, stream_id
        self.reads: list[Read] = []
        self.posts: list[Read] = []
        self.progress: list[Progress] = []
        self.arrivals: list[float] = []
        self.cuts = 0
        self.acknowledged = 0
        self.failed: list[str] = []
        self.highest = 0
        self._broker, self._people = b, people
        self._ids: list[str] = []
        self._running: set[asyncio.Task[None]] = set()

    @property
    def archived(self) -> int:
        """How far the archive was when last asked."""
        return self.progress[-1].archived if self.progress else 0

    @property
    def lag(self) -> int:
        """How many messages of the log waited for it then."""
        return self.progress[-1].last - self.progress[-1].archived if self.progress else 0

    async def comments(self, per_s: float) -> None:
        """Put comments on the log until cancelled, *per_s* of them."""
        count, began = 0, now()
        waiting: set[asyncio.Task[None]] = set()
        try:
            while True:
                due = int((now() - began) * per_s)
                for number in range(count, due):
                    waiting.add(task := asyncio.create_task(self._say(number)))
                    task.add_done_callback(waiting.discard)
                count = due
                await reached(now() + TICK_S)
        finally:
            await asyncio.gather(*waiting)

    async def _say(self, number: int) -> None:
        at_ms = time.time_ns() // 1_000_000
        comment_id = str((at_ms << 22) + number % (1 << 22))
        user = User(id=f"user-{number % 500}", name=f"Somebody {number % 500}")
        item = Comment(comment_id=comment_id, user=user, text=f"{TEXT}{number}", created_at=rfc3339(at_ms))
        try:
            subject = subjects.live(0, self.stream_id)
            answer = await self._broker.publisher.publish(subject, codec.encode(item), f"{self.stream_id}{number:064x}")
        except Unavailable as error:
            self.failed.append(str(error))
            return
        self.acknowledged += 1
        self.highest = max(self.highest, answer.seq)
        if number % 50 == 0:
            self._ids.append(comment_id)

    async def pages(self, per_s: float) -> None:
        """Ask for pages until cancelled: the newest, and ones before and after some comment."""
        chance = random.Random(3)
        for number in itertools.count():
            query = "limit=50"
            if number % 3 and self._ids:
                query += f"&cursor={chance.choice(self._ids)}&sort={('asc', 'desc')[number % 2]}"
            self._begin(self._ask(self.reads, "GET", f"/streams/{self.stream_id}/comments?{query}"))
            await reached(now() + 1 / per_s)

    async def posting(self, per_s: float) -> None:
        """Post to the gateway until cancelled, each with a key of its own."""
        for number in itertools.count():
            headers = {"Idempotency-Key": f"key-{number}"}
            body = {"text": f"posted {number}"}
            path = f"/streams/{self.stream_id}/comments"
            self._begin(self._ask(self.posts, "POST", path, headers=headers, json=body))
            await reached(now() + 1 / per_s)

    async def _ask(self, kept: list[Read], method: str, path: str, **more: object) -> None:
        began, status = now(), 0
        with suppress(httpx.HTTPError):
            answer = await self._people.http.request(method, path, timeout=PATIENCE_S, **more)  # type: ignore[arg-type]  # tests name them right
            status = answer.status_code
            self.acknowledged += status == 201
        kept.append(Read(began, now() - began, status))

    async def watch(self) -> None:
        """Take note of how far the archive is, until cancelled."""
        while True:
            answer = await self._broker.connection.request(f"$JS.API.CONSUMER.INFO.{LOG}.archive")
            info = json.loads(answer.data)
            floor, waiting = info["ack_floor"]["stream_seq"], info["num_pending"] + info["num_ack_pending"]
            self.progress.append(Progress(now(), floor, floor + waiting))
            await reached(now() + TICK_S)

    async def view(self) -> None:
        """Take note of when comments reach a viewer, until cancelled."""
        viewer = await Viewer(self.cluster.events(0, self.stream_id), backfill=0).open()
        try:
            while True:
                seen = len(viewer.items)
                await viewer.until(lambda v: len(v.items) > seen or v.over, timeout_s=600)  # noqa: B023 - awaited here
                self.arrivals += [now()] * (len(viewer.items) - seen)
                assert not viewer.faults, viewer.faults
                if viewer.over:
                    # Cut for being too slow, on a machine that is: it comes back and goes on where it was, as a player does.
                    self.cuts += 1
                    await viewer.cut()
                    await viewer.open()
        finally:
            await viewer.cut()

    def _begin(self, asking: Awaitable[None]) -> None:
        self._running.add(task := asyncio.ensure_future(asking))
        task.add_done_callback(self._running.discard)

    @asynccontextmanager
    async def load(self, per_s: float, *, reads: float = 10, posts: float = 5) -> AsyncIterator[None]:
        """Everything at once for as long as the block lasts."""
        parts = [self.watch(), self.view(), self.comments(per_s), self.pages(reads), self.posting(posts)]
        tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            await self.until(lambda: len(self.arrivals) > per_s, 60)
            yield
            for task in tasks:
                # One that has ended has failed.
                if task.done():
                    task.result()
        finally:
            # The log's comments end first: what was acknowledged is to be archived, and the archive watched meanwhile.
            for task in reversed(tasks):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await asyncio.gather(*self._running)

    async def until(self, done: Callable[[], bool], timeout_s: float) -> float:
        """Wait for *done*; how many seconds that took."""
        began = now()
        await eventually(done, timeout=timeout_s)
        return now() - began

    async def settled(self, timeout_s: float = 120.0) -> None:
        """Wait until all that was acknowledged is archived; the load is over."""

        async def done() -> bool:
            answer = await self._broker.connection.request(f"$JS.API.CONSUMER.INFO.{LOG}.archive")
            info = json.loads(answer.data)
            return int(info["num_pending"]) == 0 and int(info["num_ack_pending"]) == 0

        await eventually(done, timeout=timeout_s)

    async def in_log(self) -> int:
        """How many messages of the stream the log has."""
        subject = subjects.live(0, self.stream_id)
        body = json.dumps({"subjects_filter": subject}).encode()
        answer = await self._broker.connection.request(f"$JS.API.STREAM.INFO.{LOG}", body)
        return int(json.loads(answer.data)["state"]["subjects"][subject])

    async def dead_letters(self) -> int:
        """How many messages were given up."""
        return (await self._broker.reader.state("DEAD")).last

    def warnings(self) -> list[str]:
        """What archive and gateway warned of, briefly; without the driver's own words."""
        found = []
        for process in (self.cluster.archive, *self.cluster.gateways):
            lines = process.text.splitlines() if process is not None else []
            said = [each for each in map(json.loads, lines) if each["level"] in ("warning", "error")]
            ours = [each for each in said if not each["source"].startswith("cassandra.")]
            found += [f"{each['timestamp'][11:23]} {each['event']}: {each.get('cause', '')}"[:200] for each in ours[:12]]
        return found

    def standstill(self, since: float, until: float) -> float:
        """The longest time between two of the archive's advances."""
        moments = [since]
        moments += [b.at for a, b in itertools.pairwise(self.progress) if b.archived > a.archived and since < b.at < until]
        return max((b - a for a, b in itertools.pairwise([*moments, until])), default=0.0)

    def silence(self, since: float, until: float) -> float:
        """The longest time in which nothing reached the viewer."""
        moments = [since, *(at for at in self.arrivals if since < at < until), until]
        return max(b - a for a, b in itertools.pairwise(moments))

    def archived_at(self, moment: float) -> Progress:
        """How far the archive was at a *moment*."""
        return next(each for each in reversed(self.progress) if each.at <= moment)


def between(reads: list[Read], since: float, until: float) -> list[Read]:
    """Those of *reads* that were due then."""
    return [each for each in reads if since <= each.at < until]


def quantile(reads: list[Read], share: float) -> float:
    """Seconds within which *share* of *reads* came."""
    ordered = sorted(each.took for each in reads)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def median(reads: list[Read]) -> float:
    """Seconds within which half of *reads* came."""
    return statistics.median(each.took for each in reads) if reads else 0.0


def refused(reads: list[Read]) -> dict[int, int]:
    """How often which status came instead of success."""
    found: dict[int, int] = {}
    for each in reads:
        if each.status not in (200, 201):
            found[each.status] = found.get(each.status, 0) + 1
    return found


def now() -> float:
    """The loop's clock."""
    return asyncio.get_running_loop().time()


async def reached(moment: float) -> None:
    """Let the load go on until then."""
    await eventually(lambda: now() >= moment, timeout=moment - now() + 60)


def driver_lines(text: str) -> Iterator[str]:
    """What the driver itself said in a process's log."""
    return (line for line in text.splitlines() if '"source":"cassandra' in line)


@asynccontextmanager
async def scene(ring: CassandraRing, nats: NatsServer, folder: Path, keyspace: str) -> AsyncIterator[Scene]:
    """A gateway and an archive on *ring*, in a keyspace of their own, and one stream that nobody watches yet."""
    address = ring.address(keyspace)
    await migrate(address)
    url = f"{ring.url}/{keyspace}"
    async with (
        cluster(nats, folder, limits="100000/1", store_url=url, policy=POLICY, sample_from=10**9) as place,
        await Client(place.url(0)).guest() as host,
        broker(nats.url, apply=False) as b,
    ):
        yield Scene(place, b, (await host.start())["stream_id"], host, address)
