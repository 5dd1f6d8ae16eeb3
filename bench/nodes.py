"""Three CQL nodes with a copy of everything each, a gateway and an archive, and what a lost node changes.

One node is hung (SIGSTOP) for 20 s; one is killed (-9) and started again on what it had; two are killed and started again.
Comments go into the live log as a gateway puts them there, `--rate` a second; pages of history are asked for all the time,
and a raw driver asks the same cluster for one page of one partition beside them: the reference, in the same fault. At
the end nothing may be missing: the log is counted, and `ovation verify` compares every row with it. Then the raw driver writes
the same rows in the same batches on the idle cluster, which bounds what any archive could drain. All nodes share one core,
and everything else the other.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bench import results
from bench.archive import items, of_store
from bench.cpu import cost, on_core
from bench.drivers import CqlDriver, as_the_store
from bench.options import command, parse, parser
from bench.phases import AWAKE, BACK, CALM, DRAINING, HUNG, KILLED, STARTING, TWO, TWO_STARTING, Outcome, Phase, tell
from infra.scylla import Database, ScyllaComments
from infra.scylla.cluster import cluster_of
from tests.backends.cassandranode import CassandraNode
from tests.backends.cassandraring import CassandraRing
from tests.backends.nats import NatsServer
from tests.nodefaults import TICK_S, Read, Scene, between, now, quantile, refused, scene
from tests.ups import run as ovation

#: The nodes are on a core of their own and everything else on the other, as they are on machines of their own: a node that
#: starts takes all that it gets, for half a minute, and of both cores it took what gateway, archive, log and load needed.
OURS, THEIRS = 0, 1
WARM_S, HUNG_S, DEAD_S, BACK_S = 10.0, 20.0, 20.0, 20.0
#: Comments of the raw driver's reference.
WORK = 6000
#: A node's heap. A server has gigabytes: with the tests' 256 MiB its garbage collector stops it for half a second now and then.
HEAP_MIB = 512
READS_PER_S, POSTS_PER_S = 10.0, 2.0
FAULTS = ("hung", "killed", "two")
_PAGE = "SELECT seq, payload FROM {ks}.items WHERE stream_id = ? AND bucket = ? LIMIT 50"


class Bench:
    """One scene, its raw reader, and the phases so far."""

    def __init__(self, ring: CassandraRing, s: Scene) -> None:
        self.ring, self.scene = ring, s
        self.phases: list[Phase] = []
        self.raw: list[Read] = []
        #: Of all pages from a fault's beginning until its node had been back for `BACK_S`.
        self.page_p99: dict[str, float] = {}

    async def raw_pages(self, per_s: float) -> None:
        """One partition's page by the driver alone, until cancelled."""
        cluster = await asyncio.to_thread(cluster_of, self.scene.address)
        session = await asyncio.to_thread(cluster.connect)
        statement = await asyncio.to_thread(session.prepare, _PAGE.replace("{ks}", self.scene.address.keyspace))
        bucket = self.scene.highest >> 16
        loop, asked = asyncio.get_running_loop(), set()

        def ask() -> Read:
            began, status = time.monotonic(), 200
            bound = statement.bind((self.scene.stream_id, bucket))
            bound.is_idempotent = True
            try:
                session.execute(bound, execution_profile="read")
            except Exception:  # noqa: BLE001 - whatever it is, it is no answer
                status = 503
            return Read(began, time.monotonic() - began, status)

        try:
            while True:
                asked.add(task := loop.run_in_executor(None, ask))
                task.add_done_callback(lambda done: self.raw.append(done.result()))
                task.add_done_callback(asked.discard)
                await asyncio.sleep(1 / per_s)
        finally:
            await asyncio.gather(*asked)
            await asyncio.to_thread(cluster.shutdown)

    @asynccontextmanager
    async def phase(self, name: str) -> AsyncIterator[None]:
        """What is measured while the block lasts."""
        s, gateway = self.scene, self.scene.cluster.gateways[0].pid
        began, spent = now(), cost(gateway)
        yield
        ended = now()
        pages, posts, raw = (between(each, began, ended) for each in (s.reads, s.posts, self.raw))
        advanced = s.archived_at(ended).archived - s.archived_at(began).archived
        self.phases.append(
            Phase(
                name=name,
                seconds=ended - began,
                archived_per_s=advanced / (ended - began),
                standstill=s.standstill(began, ended),
                silence=s.silence(began, ended),
                pages=len(pages),
                page_p50=quantile(pages, 0.5),
                page_p99=quantile(pages, 0.99),
                refused=refused(pages),
                posts=len(posts),
                post_p99=quantile(posts, 0.99),
                posts_refused=refused(posts),
                raw_p50=quantile(raw, 0.5),
                raw_p99=quantile(raw, 0.99),
                raw_failed=sum(refused(raw).values()),
                lag=s.archived_at(ended).last - s.archived_at(ended).archived,
                waited=cost(gateway).since(spent).waited / (ended - began),
            )
        )
        print(self.phases[-1], flush=True)

    @asynccontextmanager
    async def fault(self, name: str) -> AsyncIterator[None]:
        """The phases of one fault."""
        began = now()
        yield
        self.page_p99[name] = quantile(between(self.scene.reads, began, now()), 0.99)

    async def hung(self) -> None:
        """One node answers nothing for a while, and then goes on."""
        await asyncio.to_thread(self.ring.nodes[2].pause)
        try:
            async with self.phase(HUNG):
                await asyncio.sleep(HUNG_S)
        finally:
            self.ring.nodes[2].resume()
        async with self.phase(AWAKE):
            await asyncio.sleep(BACK_S)
            await asyncio.to_thread(self.ring.agree)

    async def killed(self) -> None:
        """One node dies and comes back with what it had."""
        async with self.phase(KILLED):
            # Its end takes up to a second, in which the load must go on.
            await asyncio.to_thread(self.ring.nodes[1].crash)
            await asyncio.sleep(DEAD_S)
        async with self.phase(STARTING):
            await asyncio.to_thread(_elsewhere, self.ring.nodes[1])
            await asyncio.to_thread(self.ring.agree)
        async with self.phase(BACK):
            await asyncio.sleep(BACK_S)

    async def two_killed(self, rate: float) -> float:
        """Two die and come back; comments archived a second from when the archive goes on until it is a second behind."""
        s = self.scene
        async with self.phase(TWO):
            await asyncio.gather(*(asyncio.to_thread(node.crash) for node in self.ring.nodes[:2]))
            await asyncio.sleep(DEAD_S)
        stood = s.archived

        async def drained() -> float:
            await s.until(lambda: s.archived > stood, 240)
            first = s.archived_at(now())
            with suppress(AssertionError):
                await s.until(lambda: s.lag < rate, 90)
            last = s.archived_at(now())
            return (last.archived - first.archived) / max(last.at - first.at, TICK_S)

        # One of them is enough, and may have been back for long when the other one is.
        draining = asyncio.ensure_future(drained())
        async with self.phase(TWO_STARTING):
            await asyncio.gather(*(asyncio.to_thread(_elsewhere, node) for node in self.ring.nodes[:2]))
        async with self.phase(DRAINING):
            return await draining


def _elsewhere(node: CassandraNode) -> None:
    """Start *node* where nodes are."""
    with on_core(THEIRS):
        node.start()


async def measure(ring: CassandraRing, nats: NatsServer, folder: Path, rate: float, faults: Sequence[str]) -> Outcome:
    """One rate, *faults* one after the other."""
    keyspace = f"nodes_{time.time_ns()}"
    async with scene(ring, nats, folder, keyspace) as s:
        bench = Bench(ring, s)
        async with s.load(rate, reads=READS_PER_S, posts=POSTS_PER_S):
            await asyncio.sleep(WARM_S)
            raw = asyncio.ensure_future(bench.raw_pages(READS_PER_S))
            async with bench.phase(CALM):
                await asyncio.sleep(WARM_S)
            if "hung" in faults:
                async with bench.fault(HUNG):
                    await bench.hung()
            if "killed" in faults:
                async with bench.fault(KILLED):
                    await bench.killed()
            drained = await bench.two_killed(rate) if "two" in faults else 0.0
            raw.cancel()
            with suppress(asyncio.CancelledError):
                await raw
        await s.settled(300)
        settings = {"store_url": f"{ring.url}/{keyspace}", "nats_url": nats.url, "data_dir": folder / "verify"}
        code, out, errors = await ovation("verify", s.stream_id, **settings)
        store, driver = await writes(s)
        return Outcome(
            rate=rate,
            phases=bench.phases,
            page_p99=bench.page_p99,
            drained=drained,
            acknowledged=s.acknowledged,
            in_log=await s.in_log(),
            failed=len(s.failed),
            dead_letters=await s.dead_letters(),
            verified=(out + errors).strip()[-300:],
            verify_code=code,
            raw_writes=driver,
            store_writes=store,
            alive=all(each is not None and each.alive for each in (s.cluster.archive, *s.cluster.gateways)),
            cuts=s.cuts,
            warnings=s.warnings(),
        )


async def writes(s: Scene) -> tuple[float, float]:
    """Comments a second that the store and the raw driver write on all three nodes while nothing else goes on."""
    database = await Database.open(s.address)
    rates: dict[str, list[float]] = {"store": [], "driver": []}
    driver = await asyncio.to_thread(CqlDriver, database)
    try:
        for number in range(3):
            work = items(0, 1 + number * WORK, WORK, 1)
            rates["store"].append(WORK / await of_store(ScyllaComments(database), work, 500))
            rates["driver"].append(WORK / await driver.write(work, 500, as_the_store))
    finally:
        await asyncio.to_thread(driver.close)
        await database.close()
    return sorted(rates["store"])[1], sorted(rates["driver"])[1]


def main() -> None:
    """Run the command line."""
    made = parser("nodes", __doc__, viewers=1, seconds=WARM_S, rounds=1)
    made.add_argument("--rate", type=float, default=1000, help="comments a second (default %(default)s)")
    made.add_argument("--faults", nargs="+", choices=FAULTS, default=FAULTS, help="which, one after the other (default all)")
    options = parse(made)
    rate, faults = options.more.rate, [each for each in FAULTS if each in options.more.faults]
    different = [f"{rate:g}"] * (rate != made.get_default("rate")) + faults * (len(faults) < len(FAULTS))
    name = "-".join(["nodes", *different])
    result = results.begin(name, "A store that loses nodes", options, nodes=3, copies=3, consistency="LOCAL_QUORUM")
    result.command = command("nodes")
    result.settings["cores"] = str(os.cpu_count())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        ring, nats = CassandraRing(place / "ring", HEAP_MIB, apart=True), NatsServer(place / "nats")
        try:
            with on_core(THEIRS):
                ring.start()
            with on_core(OURS):
                nats.start()
                outcome = asyncio.run(measure(ring, nats, place, rate, faults))
        finally:
            ring.kill()
            nats.kill()
    tell(result, outcome)
    result.finish()


if __name__ == "__main__":
    main()
