"""CPU per socket write: N viewers, one comment per write, a closed loop with two comments on their way.

Every variant runs once per round on the same core and the whole process is counted, all threads and the kernel's time
included. The comments come over a local socket, so that no broker's cost is mixed in; `--variants` says which run.
"""

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from msgspec import Struct

from bench import corpus, peers
from bench.client import Client, write_lines
from bench.cpu import cost, write_calls_per_s
from bench.options import Options, parse, parser
from bench.peers import Peer
from bench.results import Result, Table, bars, begin
from bench.rounds import interleaved, ratios, spread

Start = Callable[[Options, float], AbstractContextManager[Peer]]
VARIANTS: dict[str, Start] = {
    "c": peers.c_loop,
    "ovation": peers.fanout,
    "ovation-python": peers.fanout_python,
    "nchan-raw": peers.nchan_raw,
    "nchan-sse": peers.nchan_sse,
    "starlette": peers.starlette,
}
NAMES = {
    "c": "C send() loop",
    "ovation": "Ovation",
    "ovation-python": "Ovation, no C",
    "nchan-raw": "nchan http-raw-stream",
    "nchan-sse": "nchan eventsource",
    "starlette": "Starlette, queue per viewer",
}
WARM_S = 1.0
#: Write calls are counted for so long, after the CPU was measured.
COUNT_S = 1.0


class Run(Struct, frozen=True):
    """One variant in one round. `us` is CPU per delivered window, `calls` system calls that write per delivered one."""

    us: float
    windows_per_s: float
    calls: float | None
    many: float
    items_per_window: float
    server_cpu: float
    waited: float
    client_cpu: float
    p50: float
    p99: float
    connections_per_s: float
    us_per_connection: float
    rss_per_viewer: float
    complete: int
    violations: int

    def __str__(self) -> str:
        return (
            f"{self.us:.2f} us/write, {self.windows_per_s:,.0f} writes/s, core {self.server_cpu:.2f}, {self.complete} complete"
        )


def measure(variant: str, options: Options) -> Run:
    """Run one variant once."""
    more: argparse.Namespace = options.more
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        peer = ends.enter_context(VARIANTS[variant](options, more.interval_ms))
        idle = cost(peer.pid)
        client = ends.enter_context(
            Client(
                options.client_core,
                port=peer.port,
                viewers=options.viewers,
                templates=write_lines(folder / "templates", corpus.plain()),
                dense=True,
                **peer.client,
            )
        )
        opened = client.open(positioned=peer.positions)
        joined = cost(peer.pid).since(idle)
        client.tell(f"closed {more.outstanding}")
        time.sleep(WARM_S)
        report, spent = client.over(options.seconds, peer.pid)
        client.tell("mark")
        calls, counted = write_calls_per_s(peer.pid, COUNT_S), client.report()
        end = client.settle()
    return Run(
        us=spent.seconds * 1e6 / report.windows,
        windows_per_s=report.windows / report.seconds,
        calls=calls * counted.seconds / counted.windows if calls else None,
        many=report.many / report.receives,
        items_per_window=report.items / report.windows,
        server_cpu=spent.seconds / report.seconds,
        waited=spent.waited / report.seconds,
        client_cpu=report.client_cpu_s / report.seconds,
        p50=report.a.p50 or 0,
        p99=report.a.p99 or 0,
        connections_per_s=opened.open / opened.seconds,
        us_per_connection=joined.seconds * 1e6 / opened.open,
        rss_per_viewer=joined.rss / opened.open,
        complete=end.complete,
        violations=end.violations.total,
    )


def tell(result: Result, runs: dict[str, list[Run]]) -> None:
    """Fill in tables, plot and criteria."""
    rows = []
    for variant, own in runs.items():
        cells = [NAMES[variant], spread([r.us for r in own]).text()]
        cells += [_against(runs, other, variant) for other in ("c", "nchan-raw", "nchan-sse", "starlette")]
        cells += [
            spread([r.windows_per_s / 1000 for r in own]).text(1),
            _calls(own),
            f"{spread([r.items_per_window for r in own]).median:.2f}",
            f"{spread([r.many for r in own]).median:.4f}",
            f"{spread([r.server_cpu for r in own]).median:.2f} / {spread([r.client_cpu for r in own]).median:.2f}",
            f"{spread([r.waited for r in own]).median:.2f}",
            f"{spread([r.p50 for r in own]).median:.1f} / {spread([r.p99 for r in own]).median:.1f}",
            f"{spread([r.connections_per_s for r in own]).median:,.0f}",
            f"{min(r.complete for r in own)}",
        ]
        rows.append(cells)
    columns = [
        "server",
        "CPU us/write",
        "C / this",
        "nchan raw / this",
        "nchan sse / this",
        "Starlette / this",
        "writes/s, thousands",
    ]
    columns += [
        "write calls/window",
        "comments/window",
        "receives with several windows",
        "core: server / client",
        "server waited for its core",
    ]
    columns += ["p50 / p99 ms", "connections/s", "complete viewers"]
    result.tables.append(Table("CPU per socket write, one comment per write", columns, rows))
    us = {NAMES[v]: spread([r.us for r in own]) for v, own in runs.items()}
    result.plots.append(bars("writes", "CPU per socket write", "microseconds", us))
    result.rounds = runs
    bounds = {"c": 0.82, "nchan": 1.15, "starlette": 4.0}
    for other, least in bounds.items():
        beaten = _best_ratio(runs, other)
        if beaten is not None:
            result.want(f"CPU per write: {NAMES.get(other, 'best nchan mode')} / Ovation", beaten, at_least=least)


def _calls(own: list[Run]) -> str:
    counted = [run.calls for run in own if run.calls is not None]
    return f"{spread(counted).median:.3f}" if counted else "-"


def _against(runs: dict[str, list[Run]], other: str, variant: str) -> str:
    if other not in runs or variant not in runs:
        return "-"
    return ratios([r.us for r in runs[other]], [r.us for r in runs[variant]]).text()


def _best_ratio(runs: dict[str, list[Run]], other: str) -> float | None:
    found = [v for v in runs if v == other or v.startswith(f"{other}-")]
    if not found or "ovation" not in runs:
        return None
    return min(ratios([r.us for r in runs[v]], [r.us for r in runs["ovation"]]).median for v in found)


def main() -> None:
    """Run it."""
    made = parser("writes", __doc__, viewers=5000, seconds=8, rounds=5)
    made.add_argument("--variants", default=",".join(VARIANTS), help="which servers, comma separated (default: %(default)s)")
    made.add_argument("--outstanding", type=int, default=2, help="comments on their way (default %(default)s)")
    made.add_argument("--interval-ms", type=float, default=0, help="least time between windows; ours takes 1 ms for 0")
    options = parse(made)
    result = begin("writes", "CPU per socket write", options, viewers=options.viewers, outstanding=options.more.outstanding)
    runs = interleaved(options.more.variants.split(","), options.rounds, lambda variant: measure(variant, options))
    tell(result, runs)
    result.finish()


if __name__ == "__main__":
    main()
