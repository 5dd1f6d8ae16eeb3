"""A storm: viewers cut at once who all come back at once, each with a last id up to some comments old.

A part of the audience is left alone; how its latency changes is measured beside how long the others take to be whole.
Every connection's chain is verified from its last id on, so a lost or repeated comment of the catch-up shows.
"""

import argparse
import time

from msgspec import Struct

from bench import corpus
from bench.client import Client, Report
from bench.cpu import cost
from bench.options import Options, parse, parser
from bench.results import Plot, Result, Table, begin
from bench.rounds import spread
from bench.servers import Site, site

WARM_S = 2.0
LONGEST_S = 60.0
#: How the gateway's reads are told apart: metric name prefix to column.
READS = "ovation_catchup_reads_total"


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


def measure(options: Options) -> Run:
    """One storm on a fresh gateway."""
    more = options.more
    ring = {"ring_bytes": more.ring_bytes} if more.ring_bytes is not None else {}
    with site(options, **ring) as place, _client(options, place) as client:
        opened = client.open()
        print(f"{opened.open:,} viewers in {opened.seconds:.1f} s", flush=True)
        # The comments those who come back have missed.
        client.tell(f"uniform {more.fill_rate}")
        client.until(lambda report: report.published >= more.old + 100, "enough comments to miss", 120)
        client.tell(f"uniform {more.rate}")
        time.sleep(WARM_S)
        client.tell("mark")
        time.sleep(options.seconds)
        calm, metrics, before = client.report(), place.metrics(), cost(place.gateway.pid)
        client.tell("mark")
        client.tell("cut")
        client.tell(f"again {more.old} {more.in_flight}")
        try:
            client.until(lambda r: r.recovery.whole >= r.recovery.wanted > 0 and r.open == r.viewers, "whole", LONGEST_S, 0.01)
        finally:
            stormy, spent = client.report(), cost(place.gateway.pid).since(before)
        end = client.settle()
        after = place.metrics()
    reads = {name: after[name] - metrics.get(name, 0) for name in after if name.startswith(tuple(more.metrics.split(",")))}
    again = stormy.recovery
    return Run(
        again.whole_s, again.connected_s, again.whole, again.wanted, calm, stormy, end, again.retries, reads, spent.seconds
    )


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


def tell(result: Result, runs: list[Run]) -> None:
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
        "p99 ratio",
    ]
    columns += ["all complete", "violations"]
    rows = []
    for number, run in enumerate(runs, 1):
        calm, stormy = run.calm.a, run.stormy.a
        rows.append(
            [
                f"{number}",
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
        )
    result.tables.append(Table("A storm of returning viewers", columns, rows))
    names = sorted({name for run in runs for name in run.reads})
    reads = [[f"{n}", *(f"{run.reads.get(name, 0):g}" for name in names)] for n, run in enumerate(runs, 1)]
    result.tables.append(Table("What the gateway read for them", ["storm", *(f"`{name}`" for name in names)], reads))
    series: dict[str, list[tuple[str | float, float]]] = {
        "connected": [(str(n), run.connected_s) for n, run in enumerate(runs, 1)],
        "whole": [(str(n), run.whole_s) for n, run in enumerate(runs, 1)],
    }
    result.plots.append(Plot("storm", "bars", "Seconds until everybody is back", "storm", "s", series))
    result.rounds = runs
    result.want("seconds until all are whole", spread([run.whole_s for run in runs]).median, at_most=8)
    result.want("the others' p99, during / before", spread([_worse(run) for run in runs]).median, at_most=2)
    result.want("storms after which everybody is complete", sum(run.complete for run in runs), at_least=len(runs))
    result.notes.append("The others' p99 during the storm counts comments published until the last viewer was whole.")


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
    made.add_argument("--in-flight", type=int, default=10_000, help="connects on their way at once (default %(default)s)")
    made.add_argument("--ring-bytes", type=int, help="a smaller ring, so that the log has to be read")
    made.add_argument("--metrics", default=READS, help="prefixes of the metrics shown, comma separated (default %(default)s)")
    options = parse(made)
    result = begin("storm", "A storm", options, viewers=options.viewers, others=options.more.others, rate=options.more.rate)
    runs = []
    for number in range(options.rounds):
        run = measure(options)
        print(
            f"storm {number + 1}/{options.rounds}: {run.whole:,} whole after {run.whole_s:.2f} s, complete {run.complete}",
            flush=True,
        )
        runs.append(run)
    tell(result, runs)
    result.finish()


if __name__ == "__main__":
    main()
