"""Behind Debian's nginx, without and with TLS: what the proxy adds in CPU, latency and connection time.

Gateway and nginx share the server's core; the load generator speaks TLS itself. Every delivery is verified as elsewhere.
"""

import argparse
import contextlib
import time

from msgspec import Struct

from bench import corpus
from bench.build import has_tls
from bench.client import Client, Report
from bench.cpu import cost
from bench.nginx import proxy
from bench.options import Options, parse, parser
from bench.results import Plot, Result, Table, begin
from bench.rounds import interleaved, ratios, spread
from bench.servers import site

VARIANTS = ("direct", "nginx", "nginx, TLS")
WARM_S = 3.0


class Run(Struct, frozen=True):
    """One variant in one round; `us` are CPU per delivered window."""

    gateway_us: float
    nginx_us: float
    core: float
    p50: float
    p99: float
    connections_per_s: float
    us_per_connection: float
    nginx_rss: float
    complete: bool
    report: Report

    def __str__(self) -> str:
        return (
            f"gateway {self.gateway_us:.1f} + nginx {self.nginx_us:.1f} us/window, core {self.core:.2f}, "
            f"p50 {self.p50} p99 {self.p99} ms, complete {self.complete}"
        )


def measure(variant: str, options: Options) -> Run:
    """Run one variant on a fresh gateway."""
    more: argparse.Namespace = options.more
    tls = "TLS" in variant
    with site(options) as place, contextlib.ExitStack() as ends:
        port, behind = place.port, []
        if variant != "direct":
            port, pid = ends.enter_context(
                proxy(place.folder / "nginx", options.server_core, place.port, tls=tls, workers=more.workers)
            )
            behind = [pid]
        client = ends.enter_context(
            Client(
                options.client_core,
                port=port,
                path=place.path,
                viewers=options.viewers,
                tls=tls,
                dense=True,
                **place.log_options(corpus.plain()),
            )
        )
        idle = cost(place.gateway.pid, *behind)
        opened = client.open()
        joined = cost(place.gateway.pid, *behind).since(idle)
        client.tell(f"uniform {more.rate}")
        time.sleep(WARM_S)
        before_nginx = cost(*behind)
        report, spent = client.over(options.seconds, place.gateway.pid)
        nginx = cost(*behind).since(before_nginx)
        end = client.settle()
    return Run(
        gateway_us=spent.seconds * 1e6 / report.windows,
        nginx_us=nginx.seconds * 1e6 / report.windows,
        core=(spent.seconds + nginx.seconds) / report.seconds,
        p50=report.a.p50 or 0,
        p99=report.a.p99 or 0,
        connections_per_s=opened.open / opened.seconds,
        us_per_connection=joined.seconds * 1e6 / opened.open,
        nginx_rss=(before_nginx.rss) / options.viewers,
        complete=end.whole,
        report=report,
    )


def tell(result: Result, runs: dict[str, list[Run]]) -> None:
    """Fill in the table and the plot."""
    columns = [
        "variant",
        "CPU us/window",
        "of direct",
        "gateway's part",
        "nginx's part",
        "core",
        "p50 / p99 ms",
        "connections/s",
    ]
    columns += ["CPU us/connection", "nginx RSS kB/viewer", "all complete"]
    direct = [run.gateway_us + run.nginx_us for run in runs.get("direct", [])]
    rows = []
    for variant, own in runs.items():
        total = [run.gateway_us + run.nginx_us for run in own]
        rows.append(
            [
                variant,
                spread(total).text(),
                ratios(total, direct).text() if direct else "-",
                spread([run.gateway_us for run in own]).text(),
                spread([run.nginx_us for run in own]).text(),
                spread([run.core for run in own]).text(),
                f"{spread([run.p50 for run in own]).median} / {spread([run.p99 for run in own]).median}",
                spread([run.connections_per_s for run in own]).text(0),
                spread([run.us_per_connection for run in own]).text(0),
                f"{spread([run.nginx_rss for run in own]).median / 1000:.1f}",
                "yes" if all(run.complete for run in own) else "NO",
            ]
        )
    result.tables.append(Table("Behind nginx, without and with TLS", columns, rows))
    series: dict[str, list[tuple[str | float, float]]] = {
        part: [(variant, spread([getattr(run, key) for run in own]).median) for variant, own in runs.items()]
        for part, key in (("gateway", "gateway_us"), ("nginx", "nginx_us"))
    }
    result.plots.append(Plot("tls", "bars", "CPU per delivered window", "", "microseconds", series))
    result.rounds = runs
    result.want(
        "rounds in which every viewer is complete",
        sum(r.complete for own in runs.values() for r in own),
        at_least=len(runs) * len(own),
    )


def main() -> None:
    """Run it."""
    made = parser("tls", __doc__, viewers=2000, seconds=10, rounds=5)
    made.add_argument("--rate", type=float, default=100, help="comments/s (default %(default)s)")
    made.add_argument("--workers", type=int, default=1, help="nginx worker processes (default %(default)s)")
    options = parse(made)
    variants = VARIANTS if has_tls() else VARIANTS[:2]
    result = begin("tls", "Behind nginx with TLS", options, viewers=options.viewers, rate=options.more.rate)
    if not has_tls():
        result.notes.append(
            "No OpenSSL headers on this machine: the load generator cannot speak TLS, and that variant is left out."
        )
    runs = interleaved(variants, options.rounds, lambda variant: measure(variant, options))
    tell(result, runs)
    result.finish()


if __name__ == "__main__":
    main()
