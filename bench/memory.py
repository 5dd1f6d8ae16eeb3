"""Bytes per viewer, accepted connections per second, and whether a viewer costs the same among 1,000 as among 10,000.

First a sweep over numbers of viewers, then as many as the descriptors of one process allow, for a long time, under traffic.
Kernel memory is what `ss -m` accounts to the gateway's sockets plus half of what the kernel's own structures grew by: the
other half is the load generator's end of the connections.
"""

import argparse
import time

from msgspec import Struct

from bench import corpus
from bench.client import Client, Report
from bench.cpu import cost, raise_file_limit, slab_memory, socket_memory
from bench.options import Options, parse, parser
from bench.results import Plot, Result, Table, begin
from bench.rounds import spread
from bench.servers import Site, site

#: Connections besides viewers that the gateway keeps descriptors for: those on their way at once, and half as many again.
CONNECTIONS = 256
#: Descriptors the gateway and the load generator need for other things than viewers.
SPARE_FILES = CONNECTIONS * 3 // 2 + 200
WARM_S = 2.0
STEP_S = 30.0


class Size(Struct, frozen=True):
    """What a viewer costs at one moment: bytes and, over the time before, CPU."""

    viewers: int
    after_s: float
    rss: float
    buffers: float
    structures: float
    us_per_window: float
    p99: float

    @property
    def kernel(self) -> float:
        """Bytes of the kernel per viewer."""
        return self.buffers + self.structures

    def __str__(self) -> str:
        return f"{self.after_s:.0f} s: RSS {self.rss:,.0f} B, kernel {self.kernel:,.0f} B, {self.us_per_window:.2f} us/window"


class Run(Struct, frozen=True):
    """One number of viewers: how they were accepted, and sizes over time."""

    viewers: int
    connections_per_s: float
    us_per_connection: float
    sizes: list[Size]
    end: Report

    @property
    def complete(self) -> bool:
        """Whether every viewer has everything once and in order."""
        return self.end.whole


def measure(options: Options, viewers: int, seconds: float) -> Run:
    """Open *viewers* on a fresh gateway, give them traffic for *seconds*, and look at them now and then."""
    more: argparse.Namespace = options.more
    with site(options, max_connections=CONNECTIONS) as place, _client(options, place, viewers) as client:
        structures, idle = slab_memory(), cost(place.gateway.pid)
        opened = client.open()
        joined = cost(place.gateway.pid).since(idle)
        client.tell(f"poisson {more.rate}")
        time.sleep(WARM_S)
        start, sizes = time.monotonic(), []
        while (left := seconds - (time.monotonic() - start)) > 0:
            report, spent = client.over(min(left, STEP_S), place.gateway.pid)
            _, buffers = socket_memory(place.port)
            size = Size(
                viewers=viewers,
                after_s=time.monotonic() - start,
                rss=cost(place.gateway.pid).since(idle).rss / viewers,
                buffers=buffers / viewers,
                structures=(slab_memory() - structures) / 2 / viewers,
                us_per_window=spent.seconds * 1e6 / max(1, report.windows),
                p99=report.a.p99 or 0,
            )
            sizes.append(size)
            print(f"{viewers:,} viewers: {size}", flush=True)
        end = client.settle()
    return Run(viewers, opened.open / opened.seconds, joined.seconds * 1e6 / opened.open, sizes, end)


def _client(options: Options, place: Site, viewers: int) -> Client:
    return Client(
        options.client_core,
        port=place.port,
        path=place.path,
        viewers=viewers,
        in_flight=options.more.in_flight,
        sources=1 + viewers // 20_000,
        dense=True,
        **place.log_options(corpus.plain()),
    )


def tell(result: Result, sweep: dict[int, list[Run]], long: Run | None) -> None:
    """Fill in the tables, the plots and the criteria."""
    columns = [
        "viewers",
        "accepted/s",
        "CPU us/connection",
        "CPU us/window",
        "RSS B/viewer",
        "kernel B/viewer",
        "of it buffers",
        "all complete",
    ]
    rows = []
    for viewers, runs in sweep.items():
        last = [run.sizes[-1] for run in runs]
        rows.append(
            [
                f"{viewers:,}",
                spread([run.connections_per_s for run in runs]).text(0),
                spread([run.us_per_connection for run in runs]).text(1),
                spread([size.us_per_window for size in last]).text(),
                spread([size.rss for size in last]).text(0),
                spread([size.kernel for size in last]).text(0),
                spread([size.buffers for size in last]).text(0),
                "yes" if all(run.complete for run in runs) else "NO",
            ]
        )
    if sweep:
        result.tables.append(Table("Viewers by number", columns, rows))
        us = {n: spread([run.sizes[-1].us_per_window for run in runs]).median for n, runs in sweep.items()}
        result.want("CPU per window, dearest / cheapest number of viewers", max(us.values()) / min(us.values()), at_most=1.25)
        rate = max(spread([run.connections_per_s for run in runs]).median for runs in sweep.values())
        result.want("accepted connections per second", rate, at_least=15_000)
        result.plots.append(
            Plot("memory", "lines", "CPU per window by number of viewers", "viewers", "us", {"us/window": [*us.items()]})
        )
    if long is not None:
        _tell_long(result, long)
    result.rounds = {"sweep": sweep, "long": long}


def _tell_long(result: Result, long: Run) -> None:
    columns = ["after s", "RSS B/viewer", "kernel B/viewer", "of it buffers", "of it structures", "CPU us/window", "p99 ms"]
    rows = [
        [
            f"{s.after_s:.0f}",
            f"{s.rss:,.0f}",
            f"{s.kernel:,.0f}",
            f"{s.buffers:,.0f}",
            f"{s.structures:,.0f}",
            f"{s.us_per_window:.2f}",
            f"{s.p99}",
        ]
        for s in long.sizes
    ]
    result.tables.append(Table(f"{long.viewers:,} viewers over time", columns, rows))
    last = long.sizes[-1]
    result.want(f"RSS bytes per viewer after {last.after_s:.0f} s", last.rss, at_most=2200)
    result.want(f"kernel bytes per viewer after {last.after_s:.0f} s", last.kernel, at_most=6000)
    result.want("viewers in one process", long.end.open, at_least=25_000)
    result.want("viewers with everything, once and in order", long.end.complete, at_least=long.viewers)
    series: dict[str, list[tuple[str | float, float]]] = {
        "RSS": [(s.after_s, s.rss) for s in long.sizes],
        "kernel": [(s.after_s, s.kernel) for s in long.sizes],
    }
    result.plots.append(
        Plot(f"{result.name}-time", "lines", f"Memory of {long.viewers:,} viewers", "seconds", "bytes per viewer", series)
    )


def main() -> None:
    """Run it."""
    made = parser("memory", __doc__, viewers=25_000, seconds=600, rounds=3)
    made.add_argument(
        "--sweep", default="1000,2000,5000,10000", help="numbers of viewers, comma separated (default %(default)s)"
    )
    made.add_argument("--sweep-seconds", type=float, default=8, help="measured for each of them (default %(default)s)")
    made.add_argument("--rate", type=float, default=10, help="comments/s, at random moments (default %(default)s)")
    made.add_argument("--in-flight", type=int, default=CONNECTIONS, help="connects on their way at once (default %(default)s)")
    options = parse(made)
    files = raise_file_limit()
    viewers = min(options.viewers, files - SPARE_FILES)
    numbers = [int(number) for number in options.more.sweep.split(",") if number]
    name, title = ("memory", "Memory and accepting") if numbers else ("memory-long", f"Memory of {viewers:,} viewers")
    result = begin(name, title, options, viewers=viewers, rate=options.more.rate)
    if viewers < options.viewers:
        result.notes.append(
            f"This machine allows a process {files:,} descriptors: {viewers:,} viewers instead of {options.viewers:,}. "
            "`bench.guest` runs this where nothing forbids more."
        )
        print(result.notes[-1])
    sweep: dict[int, list[Run]] = {number: [] for number in numbers}
    for _ in range(options.rounds):
        for number in numbers:
            sweep[number].append(measure(options, number, options.more.sweep_seconds))
    tell(result, sweep, measure(options, viewers, options.seconds) if options.seconds else None)
    result.finish()


if __name__ == "__main__":
    main()
