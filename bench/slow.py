"""Viewers that stop reading: what they cost the others, what memory they take, and whether they are whole when they resume.

A fifth of the viewers is slow, half of them behind nginx. The run without them is the same but that nobody stops. What is
measured begins when the gateway has skipped all who are slow. Until then their own kernels take what comes, here in memory that
the server's core pays for: 4 MB for each of nginx's connections, for 15 s. The latency meanwhile is printed beside it.
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
#: The slow viewers' buffers are full within this, or the run has failed: 10 s later the gateway cuts who acknowledges nothing.
FILL_S = 20.0
#: As long is waited where nobody is slow.
CALM_S = 4.0


class Run(Struct, frozen=True):
    """One run: the others' latency, `filling` its p99 in the `fill_s` before, and what the slow viewers took, in bytes."""

    p50: float
    p99: float
    filling: float
    fill_s: float
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
            f"others' p50 {self.p50} p99 {self.p99} ms, in the {self.fill_s:.0f} s before {self.filling}, "
            f"{self.kernel_per_slow / 1e6:.3f} MB/slow viewer, "
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
        machine, skipped = tcp_memory(), _skipped(place)
        filling = _fill(client, place, slow if variant == "slow" else 0)
        report, spent = client.over(options.seconds, place.gateway.pid)
        rss = cost(place.gateway.pid).rss
        _, kernel = socket_memory(place.port)
        taken = tcp_memory() - machine
        client.tell("wake")
        woken, newest = time.monotonic(), report.max_to
        client.until(lambda r: r.oldest >= newest, "the slow viewers have what they missed", 60)
        resumed = time.monotonic() - woken
        end = client.settle()
        skipped = _skipped(place) - skipped
    return Run(
        p50=report.a.p50 or 0,
        p99=report.a.p99 or 0,
        filling=filling.a.p99 or 0,
        fill_s=filling.seconds,
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


def _skipped(place: Site) -> float:
    return place.metrics().get("ovation_viewers_skipped_total", 0)


def _fill(client: Client, place: Site, slow: int) -> Report:
    """Let the *slow* ones stop reading until each of them has been skipped; what was meanwhile."""
    before = _skipped(place)
    client.tell("mark")
    if not slow:
        time.sleep(CALM_S)
        return client.report()
    client.tell("stall")
    return client.until(lambda _: _skipped(place) - before >= slow, "all who are slow have been skipped", FILL_S, step=0.5)


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
        "p99 ms until they were skipped",
        "after s",
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
                spread([run.filling for run in own]).text(1),
                spread([run.fill_s for run in own]).text(1),
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
    made = parser("slow", __doc__, viewers=1000, seconds=8, rounds=5)
    made.add_argument("--share", type=float, default=0.2, help="share of the viewers that stops reading (default %(default)s)")
    made.add_argument("--rate", type=float, default=1000, help="comments/s (default %(default)s)")
    options = parse(made)
    result = begin("slow", "Slow viewers", options, viewers=options.viewers, share=options.more.share, rate=options.more.rate)
    runs = interleaved(VARIANTS, options.rounds, lambda variant: measure(variant, options))
    tell(result, runs)
    result.finish()


if __name__ == "__main__":
    main()
