"""Viewers that stop reading: what they cost the others, what memory they take, and whether they are whole when they resume.

A fifth of the viewers is slow, half of them behind nginx. The run without them is the same but that nobody stops.
"""

import argparse
import time

from msgspec import Struct

from bench import corpus
from bench.client import Client, Report
from bench.cpu import cost, socket_memory, tcp_memory
from bench.nginx import proxy
from bench.options import Options, parse, parser
from bench.results import Plot, Result, Table, begin
from bench.rounds import interleaved, ratios, spread
from bench.servers import Site, site

VARIANTS = ("nobody slow", "slow")
WARM_S = 3.0
#: So long until the slow viewers' buffers are full.
FILL_S = 4.0


class Run(Struct, frozen=True):
    """One run: the others' latency, and what the slow viewers took, in bytes."""

    p50: float
    p99: float
    server_cpu: float
    kernel_per_slow: float
    machine_per_slow: float
    rss: int
    skipped: float
    resumed_s: float
    complete: bool
    report: Report
    end: Report

    def __str__(self) -> str:
        return (
            f"others' p50 {self.p50} p99 {self.p99} ms, {self.kernel_per_slow / 1e6:.3f} MB/slow viewer, "
            f"whole after {self.resumed_s:.2f} s, complete {self.complete}"
        )


def measure(variant: str, options: Options) -> Run:
    """Run one variant on a fresh gateway."""
    more: argparse.Namespace = options.more
    slow = int(options.viewers * more.share)
    with (
        site(options) as place,
        proxy(place.folder / "nginx", options.client_core, place.port) as (via, _),
        _client(options, place, via, slow) as client,
    ):
        client.open()
        client.tell(f"uniform {more.rate}")
        time.sleep(WARM_S)
        machine, metrics = tcp_memory(), place.metrics()
        if variant == "slow":
            client.tell("stall")
        time.sleep(FILL_S)
        report, spent = client.over(options.seconds, place.gateway.pid)
        rss = cost(place.gateway.pid).rss
        _, kernel = socket_memory(place.port)
        taken = tcp_memory() - machine
        client.tell("wake")
        woken, newest = time.monotonic(), report.max_to
        client.until(lambda r: r.oldest >= newest, "the slow viewers have what they missed", 60)
        resumed = time.monotonic() - woken
        end = client.settle()
        skipped = place.metrics().get("ovation_viewers_skipped_total", 0) - metrics.get("ovation_viewers_skipped_total", 0)
    return Run(
        p50=report.a.p50 or 0,
        p99=report.a.p99 or 0,
        server_cpu=spent.seconds / report.seconds,
        kernel_per_slow=kernel / slow,
        machine_per_slow=taken / slow,
        rss=rss,
        skipped=skipped,
        resumed_s=resumed,
        complete=end.whole,
        report=report,
        end=end,
    )


def _client(options: Options, place: Site, via: int, slow: int) -> Client:
    return Client(
        options.client_core,
        port=place.port,
        path=place.path,
        viewers=options.viewers,
        group_b=slow,
        via_port=via,
        dense=True,
        **place.log_options(corpus.plain()),
    )


def tell(result: Result, runs: dict[str, list[Run]]) -> None:
    """Fill in the tables, the plot and the criteria."""
    columns = [
        "variant",
        "others' p50 ms",
        "others' p99 ms",
        "p99 of nobody slow",
        "core",
        "kernel MB per slow viewer, gateway's end",
    ]
    columns += ["MB per slow viewer, all TCP of the machine", "gateway RSS MB", "skipped", "whole after s", "all complete"]
    calm = runs.get("nobody slow", [])
    rows = []
    for variant, own in runs.items():
        p99 = [run.p99 for run in own]
        rows.append(
            [
                variant,
                spread([run.p50 for run in own]).text(1),
                spread(p99).text(1),
                ratios(p99, [run.p99 for run in calm]).text() if calm else "-",
                spread([run.server_cpu for run in own]).text(),
                spread([run.kernel_per_slow / 1e6 for run in own]).text(3),
                spread([run.machine_per_slow / 1e6 for run in own]).text(3),
                f"{max(run.rss for run in own) / 1e6:.0f}",
                f"{spread([run.skipped for run in own]).median:,.0f}",
                spread([run.resumed_s for run in own]).text(),
                "yes" if all(run.complete for run in own) else "NO",
            ]
        )
    result.tables.append(Table("A fifth of the viewers stops reading", columns, rows))
    series: dict[str, list[tuple[str | float, float]]] = {
        variant: [(what, spread([getattr(run, what) for run in own]).median) for what in ("p50", "p99")]
        for variant, own in runs.items()
    }
    result.plots.append(Plot("slow", "bars", "The others' latency", "", "ms", series))
    result.rounds = runs
    if calm and (slow := runs.get("slow")):
        result.want(
            "the others' p99, slow / nobody slow", ratios([r.p99 for r in slow], [r.p99 for r in calm]).median, at_most=1.10
        )
        result.want("kernel MB per slow viewer", spread([run.kernel_per_slow / 1e6 for run in slow]).median, at_most=0.3)
        result.want("runs after which everybody is complete", sum(run.complete for run in slow), at_least=len(slow))


def main() -> None:
    """Run it."""
    made = parser("slow", __doc__, viewers=1000, seconds=10, rounds=5)
    made.add_argument("--share", type=float, default=0.2, help="share of the viewers that stops reading (default %(default)s)")
    made.add_argument("--rate", type=float, default=1000, help="comments/s (default %(default)s)")
    options = parse(made)
    result = begin("slow", "Slow viewers", options, viewers=options.viewers, share=options.more.share, rate=options.more.rate)
    runs = interleaved(VARIANTS, options.rounds, lambda variant: measure(variant, options))
    tell(result, runs)
    result.finish()


if __name__ == "__main__":
    main()
