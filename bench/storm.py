"""A storm: viewers cut at once who all come back at once, each with a last id up to some comments old.

An archive runs and has caught up, so the store has what they missed as the log does: whoever asks it is counted.
A part of the audience is left alone; how its latency changes is measured beside how long the others take to be whole.
Every connection's chain is verified from its last id on, so a lost or repeated comment of the catch-up shows.
"""

import argparse
import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from msgspec import Struct

from bench import corpus
from bench.client import Client, ClientFailed, Report
from bench.cpu import cost, on_core
from bench.options import Options, parse, parser
from bench.results import Plot, Result, Table, begin
from bench.rounds import interleaved, spread
from bench.servers import NotReady, Site, parse_metrics, site, wait_ready
from tests.processes import Process

WARM_S = 2.0
LONGEST_S = 60.0
#: How the gateway's reads are told apart: metric name prefix to column.
READS = "ovation_catchup_reads_total"
RANGES = "ovation_range_reads_total"
#: What waits for an archive that has caught up, at most: a second's comments at the storm's rate are on their way to it.
LAG, LAG_S = 50, 60.0


class Run(Struct, frozen=True):
    """One storm. `calm` and `stormy` are the others' latencies without and with it."""

    whole_s: float
    connected_s: float
    whole: int
    wanted: int
    calm: Report
    stormy: Report
    end: Report
    retries: int
    reads: dict[str, float]
    server_cpu_s: float

    @property
    def complete(self) -> bool:
        """Whether everybody, cut or not, has everything once and in order."""
        return self.end.whole

    @property
    def history(self) -> float:
        """Reads of anything but the ring."""
        return sum(count for name, count in self.reads.items() if name.startswith(READS) and "ring" not in name)

    @property
    def stored(self) -> float:
        """Ranges for which the store was asked."""
        return self.reads.get(f'{RANGES}{{source="store"}}', 0.0)

    @property
    def logged(self) -> float:
        """Ranges that the log alone gave."""
        return self.reads.get(f'{RANGES}{{source="log"}}', 0.0)

    def __str__(self) -> str:
        return f"{self.whole:,} whole after {self.whole_s:.2f} s, p99 ratio {_worse(self):.2f}, complete {self.complete}"


def measure(options: Options, variant: str) -> Run:
    """One storm on a fresh gateway."""
    more = options.more
    ring = {"ring_bytes": more.small_ring} if variant == "log" else {}
    with site(options, **ring) as place, _archive(options, place) as archive, _client(options, place) as client:
        opened = client.open()
        print(f"{opened.open:,} viewers in {opened.seconds:.1f} s", flush=True)
        # The comments those who come back have missed.
        client.tell(f"uniform {more.fill_rate}")
        client.until(lambda report: report.published >= more.old + 100, "enough comments to miss", 120)
        client.tell(f"uniform {more.rate}")
        time.sleep(WARM_S)
        _caught_up(archive)
        calm, _ = client.over(options.seconds)
        metrics, before = place.metrics(), cost(place.gateway.pid)
        client.tell("mark")
        client.tell("cut")
        client.tell(f"again {more.old} {more.in_flight}")
        try:
            client.until(lambda r: r.recovery.whole >= r.recovery.wanted > 0 and r.open == r.viewers, "whole", LONGEST_S, 0.01)
        except ClientFailed as failure:
            print(failure, flush=True)
        stormy, spent = client.report(), cost(place.gateway.pid).since(before)
        end = client.settle()
        after = place.metrics()
    shown = (*more.metrics.split(","), RANGES)
    reads = {name: after[name] - metrics.get(name, 0) for name in after if name.startswith(shown)}
    again = stormy.recovery
    return Run(
        again.whole_s, again.connected_s, again.whole, again.wanted, calm, stormy, end, again.retries, reads, spent.seconds
    )


@contextmanager
def _archive(options: Options, place: Site) -> Iterator[Process]:
    archive = Process("worker", "archive", log=place.folder / "archive.log", **place.settings)
    with contextlib.ExitStack() as ends:
        with on_core(options.client_core):
            archive.start()
        ends.callback(archive.kill)
        wait_ready(archive)
        yield archive


def _caught_up(archive: Process) -> None:
    """Wait until the store has nearly all of the log.

    Raises:
        NotReady: it has not after `LAG_S`.
    """
    until = time.monotonic() + LAG_S
    while True:
        shown = parse_metrics(httpx.get(f"{archive.ops_url}/metrics", timeout=30).text)
        if shown.get('ovation_archive_lag{log="LIVE_0"}', LAG) < LAG and shown.get("ovation_archived_items_total", 0) > 0:
            return
        if time.monotonic() > until:
            raise NotReady(archive.text[-3000:])
        time.sleep(0.2)


def _client(options: Options, place: Site) -> Client:
    more: argparse.Namespace = options.more
    return Client(
        options.client_core,
        port=place.port,
        path=place.path,
        viewers=options.viewers + more.others,
        group_b=options.viewers,
        dense=True,
        **place.log_options(corpus.plain()),
    )


def tell(result: Result, runs: dict[str, list[Run]], old: int) -> None:
    """Fill in the tables, the plot and the criteria."""
    columns = [
        "storm",
        "came back",
        "tried again",
        "connected after s",
        "whole after s",
        "CPU s",
        "others' p50 / p99 ms before",
        "during",
    ]
    columns += ["p99 ratio", "all complete", "violations"]
    numbered = [(f"{variant} {number}", run) for variant, own in runs.items() for number, run in enumerate(own, 1)]
    result.tables.append(Table("A storm of returning viewers", columns, [[name, *_cells(run)] for name, run in numbered]))
    names = sorted({name for _, run in numbered for name in run.reads})
    reads = [[name, *(f"{run.reads.get(read, 0):g}" for read in names)] for name, run in numbered]
    result.tables.append(Table("What the gateway read for them", ["storm", *(f"`{name}`" for name in names)], reads))
    series: dict[str, list[tuple[str | float, float]]] = {
        "connected": [(name, run.connected_s) for name, run in numbered],
        "whole": [(name, run.whole_s) for name, run in numbered],
    }
    result.plots.append(Plot("storm", "bars", "Seconds until everybody is back", "storm", "s", series))
    result.rounds = runs
    for variant, own in runs.items():
        result.want(f"{variant}: seconds until all are whole", spread([run.whole_s for run in own]).median, at_most=8)
        result.want(f"{variant}: the others' p99, during / before", spread([_worse(run) for run in own]).median, at_most=2)
        result.want(f"{variant}: storms after which everybody is complete", sum(run.complete for run in own), at_least=len(own))
        result.want(f"{variant}: ranges for which the store was asked", max(run.stored for run in own), at_most=0)
        if variant == "log":
            result.want(f"{variant}: ranges that the log alone gave", min(run.logged for run in own), at_least=1)
        result.want(f"{variant}: reads of the log (ranges differ by last id)", max(run.history for run in own), at_most=old)
    result.notes.append("The others' p99 during the storm counts comments published until the last viewer was whole.")
    result.notes.append(
        "Those who come back all try at once, as many on their way as the listen queue holds (`--in-flight`): past that the "
        "kernel drops SYNs, and its doubling seconds of retries would be what is measured."
    )
    result.notes.append("An archive runs and had caught up before the cut: the store had what was missed, and was not needed.")


def _cells(run: Run) -> list[str]:
    calm, stormy = run.calm.a, run.stormy.a
    return [
        f"{run.whole:,} of {run.wanted:,}",
        f"{run.retries:,}",
        f"{run.connected_s:.2f}",
        f"{run.whole_s:.2f}",
        f"{run.server_cpu_s:.2f}",
        f"{calm.p50} / {calm.p99}",
        f"{stormy.p50} / {stormy.p99}",
        f"{_worse(run):.2f}",
        "yes" if run.complete else "NO",
        f"{run.end.violations.total}",
    ]


def _worse(run: Run) -> float:
    return (run.stormy.a.p99 or 1e9) / (run.calm.a.p99 or 1e9)


def main() -> None:
    """Run it."""
    made = parser("storm", __doc__, viewers=10_000, seconds=5, rounds=3)
    made.add_argument("--others", type=int, default=1000, help="viewers who are left alone (default %(default)s)")
    made.add_argument("--old", type=int, default=1000, help="last ids are up to so many comments old (default %(default)s)")
    made.add_argument("--rate", type=float, default=20, help="comments/s all the while (default %(default)s)")
    made.add_argument(
        "--fill-rate", type=float, default=100, help="comments/s before, until there are enough (default %(default)s)"
    )
    made.add_argument("--in-flight", type=int, default=4_000, help="connects on their way at once (default %(default)s)")
    made.add_argument("--variants", default="ring,log", help="who serves what was missed (default %(default)s)")
    made.add_argument(
        "--small-ring", type=int, default=32_768, help="bytes of the ring in the variant log (default %(default)s)"
    )
    made.add_argument(
        "--metrics", default=f"{READS},{RANGES}", help="prefixes of the metrics shown, comma separated (default %(default)s)"
    )
    options = parse(made)
    result = begin("storm", "A storm", options, viewers=options.viewers, others=options.more.others, rate=options.more.rate)
    runs = interleaved(options.more.variants.split(","), options.rounds, lambda variant: measure(options, variant))
    tell(result, runs, options.more.old)
    result.finish()


if __name__ == "__main__":
    main()
