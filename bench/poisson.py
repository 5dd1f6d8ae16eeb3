"""Latency under random arrivals: comments come as people write them, at a mean rate and never in step with the windows.

Latency counts from the moment a comment was due at the publisher to the moment a viewer has it, over all viewers.
"""

import time

from msgspec import Struct

from bench import corpus
from bench.client import Client, Report
from bench.cpu import cost
from bench.options import Options, parse, parser
from bench.path import LATENCY, latency_cells
from bench.results import Plot, Result, Table, begin
from bench.rounds import spread
from bench.servers import site

#: At most so many ms at the median, by comments per second.
WANTED = {5.0: 5.0, 20.0: 25.0, 60.0: 35.0}
WARM_S = 1.0


class Run(Struct, frozen=True):
    """One rate in one round."""

    rate: float
    report: Report
    complete: bool
    server_cpu: float


def measure(options: Options, seed: int) -> list[Run]:
    """All rates, one after the other, on one gateway."""
    runs = []
    rates = [float(rate) for rate in options.more.rates.split(",")]
    with site(options) as place:
        feed = place.log_options(corpus.plain())
        if options.more.posts:
            feed = place.post_options(corpus.post(), users=2000)
        with Client(
            options.client_core, port=place.port, path=place.path, viewers=options.viewers, dense=True, seed=seed, **feed
        ) as client:
            client.open()
            for rate in rates:
                client.tell(f"poisson {rate}")
                time.sleep(WARM_S)
                client.tell("mark")
                before = cost(place.gateway.pid)
                time.sleep(options.seconds)
                report, spent = client.report(), cost(place.gateway.pid).since(before)
                end = client.settle()
                runs.append(Run(rate, report, end.whole, spent.seconds / report.seconds))
                a = report.a
                print(
                    f"{rate:g}/s: p50 {a.p50} p99 {a.p99} max {a.max} ms, core {runs[-1].server_cpu:.2f}, complete {end.whole}",
                    flush=True,
                )
    return runs


def tell(result: Result, rounds: list[list[Run]]) -> None:
    """Fill in the tables, the plot and the criteria."""
    columns = ["comments/s", "rounds", "comments", "p50 ms", "p99 ms", "core", "all complete"]
    rows, quantiles = [], []
    series: dict[str, list[tuple[str | float, float]]] = {"p50": [], "p99": []}
    for index, first in enumerate(rounds[0]):
        own = [runs[index] for runs in rounds]
        p50, p99 = spread([run.report.a.p50 or 1e9 for run in own]), spread([run.report.a.p99 or 1e9 for run in own])
        rows.append(
            [
                f"{first.rate:g}",
                f"{len(own)}",
                f"{sum(run.report.a.count for run in own) // max(1, own[0].report.viewers):,}",
                p50.text(),
                p99.text(),
                f"{spread([run.server_cpu for run in own]).median:.3f}",
                "yes" if all(run.complete for run in own) else "NO",
            ]
        )
        quantiles += [[f"{first.rate:g}/s, round {n}", *latency_cells(run.report.a)] for n, run in enumerate(own, 1)]
        series["p50"].append((first.rate, p50.median))
        series["p99"].append((first.rate, p99.median))
        if first.rate in WANTED:
            result.want(f"p50 ms at {first.rate:g}/s", p50.median, at_most=WANTED[first.rate])
    result.tables.append(Table("Latency under Poisson arrivals", columns, rows))
    result.tables.append(Table("Its distributions, ms", ["run", *LATENCY], quantiles))
    result.plots.append(Plot("poisson", "lines", "Latency under Poisson arrivals", "comments/s", "ms", series))
    result.rounds = rounds


def main() -> None:
    """Run it."""
    made = parser("poisson", __doc__, viewers=1000, seconds=30, rounds=3)
    made.add_argument("--rates", default="5,20,60", help="comments/s, comma separated (default %(default)s)")
    made.add_argument("--posts", action="store_true", help="POST the comments instead of publishing them into the log")
    options = parse(made)
    result = begin("poisson", "Poisson arrivals", options, viewers=options.viewers, posts=options.more.posts)
    rounds = []
    for number in range(options.rounds):
        print(f"round {number + 1}/{options.rounds}", flush=True)
        rounds.append(measure(options, seed=number + 1))
    tell(result, rounds)
    result.finish()


if __name__ == "__main__":
    main()
