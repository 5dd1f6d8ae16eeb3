"""Bytes and CPU with gzip against without, on a chat with UUIDs and Zipf's words, with and without joining viewers.

The same comments at the same rate go to the same number of viewers, and every connection is verified, compressed or not.
Joins are viewers who leave while others come, a tenth of them each second.
"""

import argparse
import time

from msgspec import Struct

from bench import corpus
from bench.client import Client, Report
from bench.options import Options, parse, parser
from bench.results import Plot, Result, Table, begin
from bench.rounds import interleaved, ratios, spread
from bench.servers import site

VARIANTS = ("plain", "gzip", "plain, joins", "gzip, joins")
WARM_S = 3.0


class Run(Struct, frozen=True):
    """One variant in one round. `bytes` are per comment and viewer, on the wire."""

    bytes: float
    server_cpu: float
    p50: float
    p99: float
    complete: bool
    report: Report

    def __str__(self) -> str:
        return f"{self.bytes:.1f} B/comment, core {self.server_cpu:.3f}, p99 {self.p99} ms, complete {self.complete}"


def measure(variant: str, options: Options) -> Run:
    """Run one variant on a fresh gateway."""
    more: argparse.Namespace = options.more
    with (
        site(options) as place,
        Client(
            options.client_core,
            port=place.port,
            path=place.path,
            viewers=options.viewers,
            group_b=options.viewers,
            gzip=variant.startswith("gzip"),
            dense=True,
            **place.log_options(corpus.chat()),
        ) as client,
    ):
        client.open()
        client.tell(f"uniform {more.rate}")
        if "joins" in variant:
            client.tell(f"churn {options.viewers * more.joins}")
        time.sleep(WARM_S)
        start = client.report()
        report, spent = client.over(options.seconds, place.gateway.pid)
        client.tell("churn 0")
        end = client.settle()
    return Run(
        bytes=report.bytes / (report.published - start.published) / options.viewers,
        server_cpu=spent.seconds / report.seconds,
        p50=report.b.p50 or 0,
        p99=report.b.p99 or 0,
        complete=end.whole,
        report=report,
    )


def tell(result: Result, runs: dict[str, list[Run]]) -> None:
    """Fill in the tables, the plot and the criteria."""
    columns = [
        "variant",
        "bytes/comment",
        "of plain",
        "core",
        "of plain",
        "p50 / p99 ms",
        "all of them complete",
    ]
    rows = []
    for variant, own in runs.items():
        plain = runs.get(variant.replace("gzip", "plain"), own)
        size, cpu = [run.bytes for run in own], [run.server_cpu for run in own]
        rows.append(
            [
                variant,
                spread(size).text(1),
                ratios(size, [run.bytes for run in plain]).text(3),
                spread(cpu).text(3),
                ratios(cpu, [run.server_cpu for run in plain]).text(3),
                f"{spread([run.p50 for run in own]).median} / {spread([run.p99 for run in own]).median}",
                "yes" if all(run.complete for run in own) else "NO",
            ]
        )
    result.tables.append(Table("Compression on a chat corpus", columns, rows))
    result.plots.append(
        Plot(
            name="compression",
            kind="bars",
            title="Core used by the gateway",
            x="",
            y="cores",
            series={v: [(v, spread([run.server_cpu for run in own]).median)] for v, own in runs.items()},
        )
    )
    result.rounds = runs
    if "plain" in runs and "gzip" in runs:
        shrunk = ratios([r.bytes for r in runs["gzip"]], [r.bytes for r in runs["plain"]])
        spent = ratios([r.server_cpu for r in runs["gzip"]], [r.server_cpu for r in runs["plain"]])
        result.want("wire bytes, gzip / plain", shrunk.median, at_most=0.35)
        result.want("whole-process CPU, gzip / plain", spent.median, at_most=1.0)
    for kind in ("plain", "gzip"):
        if (joins := runs.get(f"{kind}, joins")) and kind in runs:
            dearer = ratios([r.server_cpu for r in joins], [r.server_cpu for r in runs[kind]])
            larger = ratios([r.bytes for r in joins], [r.bytes for r in runs[kind]])
            price = f"{dearer.text()} x the CPU, {larger.text()} x the bytes"
            result.notes.append(f"{kind}: joins of a tenth of the viewers per second cost {price}.")


def main() -> None:
    """Run it."""
    made = parser("compression", __doc__, viewers=1000, seconds=10, rounds=5)
    made.add_argument("--rate", type=float, default=100, help="comments/s (default %(default)s)")
    made.add_argument(
        "--joins", type=float, default=0.1, help="share of the viewers that changes per second (default %(default)s)"
    )
    made.add_argument("--variants", default=";".join(VARIANTS), help="which, semicolon separated (default %(default)s)")
    options = parse(made)
    result = begin(
        "compression", "Compression", options, viewers=options.viewers, rate=options.more.rate, joins=options.more.joins
    )
    runs = interleaved(options.more.variants.split(";"), options.rounds, lambda variant: measure(variant, options))
    tell(result, runs)
    result.finish()


if __name__ == "__main__":
    main()
