"""The whole path, at a steady rate: comments in, every viewer complete, latency and window intervals.

Two runs, each several times: *posts*, where people POST over HTTP with tokens (limits on, Idempotency-Key sent), and *log*,
where comments are published straight into the live log. Each is run for viewers who accept gzip, as every browser does, and
for viewers who do not. Beside them, *c*: the C loop of `csend.c`, handed the comments on a socket, writes them plainly to as
many viewers as *posts* has, in windows of 50 ms, and does nothing else. A run in which the hypervisor gave more than 3 % of a
core to other machines is done again, twice at most, and told apart.

Both cores are kept awake (`awake.py`): one that idles for a moment would be given to other machines. The load generator
looks for what has come in twice in a millisecond, so that a write to a viewer wakes nobody at the expense of the server's core.

Latency counts from the moment a comment was due to the moment the packet with it is put to a viewer's kernel; until the load
generator, one process for all viewers, has read it is printed beside it. The viewers' half of TCP runs on the server's core.
"""

import contextlib
import dataclasses
import tempfile
import time
from pathlib import Path

from msgspec import Struct

from bench import corpus
from bench.awake import awake
from bench.client import Client, Latency, Report, write_lines
from bench.cpu import stolen
from bench.options import Options, parse, parser
from bench.peers import Peer, c_loop
from bench.results import Plot, Result, Table, begin
from bench.rounds import interleaved, ratios, spread, undisturbed
from bench.servers import Site, second_gateway, site

WARM_S = 3.0
C_LOOP = "C loop, plain"
#: The gateway's own default.
C_INTERVAL_MS = 50.0
#: The share of a core that may be stolen in a run (100 ms at a stretch are what the 99th percentile leaves out of ten seconds),
#: and how often a run in which more was is done again.
MOST_STOLEN, AGAIN = 0.03, 2
#: What posts may take at the median and at the 99th percentile.
P50_MS, P99_MS = 70, 150


class Run(Struct, frozen=True):
    """One run: the client's report over the measured seconds, the end of it, and what the gateway spent.

    `stolen` is what the hypervisor took meanwhile of the server's core and of the other one, as a share.
    """

    rate: float
    viewers: int
    report: Report
    end: Report
    server_cpu: float
    waited: float
    stolen: tuple[float, float]
    us_per_window: float

    @property
    def complete(self) -> bool:
        """Whether every viewer has every comment that the log took, in order and once."""
        return self.end.whole

    def disturbed(self) -> bool:
        """Whether other machines had too much of it."""
        return max(self.stolen) > MOST_STOLEN

    @property
    def took(self) -> str:
        """What was stolen of either core."""
        return ", ".join(f"{share:.2f}" for share in self.stolen)

    def __str__(self) -> str:
        got, a = self.report, self.report.a
        return (
            f"{got.items / got.seconds:,.0f} comments/s delivered, p50 {a.p50} p99 {a.p99} max {a.max} ms, "
            f"read {got.read.p50} {got.read.p99}, "
            f"core {self.server_cpu:.2f}, stolen {self.took}, {self.end.complete}/{self.viewers} complete"
        )


def measure(options: Options, server: Peer, viewers: int, rate: float, *, gzip: bool) -> Run:
    """Open viewers on *server*, feed it, and measure after it has warmed up."""
    how = {"dense": True, "stamped": True, "gzip": gzip, "nap": options.more.nap}
    with Client(options.client_core, port=server.port, viewers=viewers, **how, **server.client) as client:
        opened = client.open(positioned=server.positions)
        print(f"{opened.open:,} viewers in {opened.seconds:.1f} s", flush=True)
        client.tell(f"uniform {rate}")
        time.sleep(WARM_S)
        cores = options.server_core, options.client_core
        before = [stolen(core) for core in cores]
        report, spent = client.over(options.seconds, server.pid)
        here, there = ((stolen(core) - then) / report.seconds for core, then in zip(cores, before, strict=True))
        end = client.settle()
    return Run(
        rate=rate,
        viewers=viewers,
        report=report,
        end=end,
        server_cpu=spent.seconds / report.seconds,
        waited=spent.waited / report.seconds,
        stolen=(here, there),
        us_per_window=spent.seconds * 1e6 / max(1, report.windows),
    )


def posts(options: Options, encoding: str) -> Run:
    """Comments posted over HTTP."""
    more = options.more
    with site(options) as place, contextlib.ExitStack() as ends:
        port = place.port if not more.second_gateway else ends.enter_context(second_gateway(options, place))
        feed = place.post_options(corpus.post(), more.users) | {"feed_port": port}
        return measure(options, _gateway(place, feed), options.viewers, more.rate, gzip=encoding == "gzip")


def log(options: Options, encoding: str) -> Run:
    """Comments published into the log."""
    more = options.more
    with site(options) as place:
        feed = place.log_options(corpus.plain())
        return measure(options, _gateway(place, feed), more.log_viewers, more.log_rate, gzip=encoding == "gzip")


def _gateway(place: Site, feed: dict[str, object]) -> Peer:
    return Peer(place.gateway.pid, place.port, {"path": place.path, **feed})


def bare(options: Options, _encoding: str) -> Run:
    """Comments handed to the C loop."""
    with tempfile.TemporaryDirectory() as folder, c_loop(options, C_INTERVAL_MS) as peer:
        feed = peer.client | {"templates": write_lines(Path(folder) / "templates", corpus.plain())}
        return measure(options, dataclasses.replace(peer, client=feed), options.viewers, options.more.rate, gzip=False)


def tell(result: Result, variant: str, runs: list[Run]) -> None:
    """Fill in the tables."""
    columns = [
        "run",
        "viewers",
        "comments/s in",
        "delivered/s, millions",
        "windows/s, thousands",
        "MB/s",
        "p50 ms",
        "p99 ms",
        "max ms",
        "until read: p50, p99",
    ]
    columns += ["core", "waited for it", "stolen from it and the clients'", "CPU us/window", "complete viewers", "violations"]
    columns += ["receives with several windows"]
    rows, intervals = [], []
    for number, run in enumerate(runs, 1):
        got, a = run.report, run.report.a
        rows.append(
            [
                f"{variant} {number}",
                f"{run.viewers:,}",
                f"{run.rate:,.0f}",
                f"{got.items / got.seconds / 1e6:.2f}",
                f"{got.windows / got.seconds / 1e3:.1f}",
                f"{got.bytes / got.seconds / 1e6:,.0f}",
                f"{a.p50}",
                f"{a.p99}",
                f"{a.max}",
                f"{got.read.p50}, {got.read.p99}",
                f"{run.server_cpu:.2f}",
                f"{run.waited:.2f}",
                run.took,
                f"{run.us_per_window:.2f}",
                f"{run.end.complete:,}",
                f"{run.end.violations.total}",
                f"{got.many / got.receives:.4f}",
            ]
        )
        intervals.append([f"{variant} {number}", *latency_cells(got.interval)])
    result.tables.append(Table(f"The whole path: {variant}", columns, rows))
    result.tables.append(Table(f"Window intervals seen by one viewer, ms: {variant}", ["run", *LATENCY], intervals))
    if any(run.report.ack.count for run in runs):
        columns = ["run", "sent", "acknowledged", "refused (first status)", "waited for a connection", *LATENCY]
        answers = [[f"{variant} {number}", *_answers(run)] for number, run in enumerate(runs, 1)]
        result.tables.append(Table(f"Acknowledgements, ms: {variant}", columns, answers))


def _answers(run: Run) -> list[str]:
    end = run.end
    refused = f"{end.refused_posts} ({end.first_refused})"
    return [f"{end.published:,}", f"{end.acked:,}", refused, f"{end.late:,}", *latency_cells(run.report.ack)]


LATENCY = ["windows or answers", "p10", "p50", "p90", "p99", "p99.9", "max"]


def latency_cells(latency: Latency) -> list[str]:
    """A distribution as cells under `LATENCY`."""
    values = (latency.p10, latency.p50, latency.p90, latency.p99, latency.p999, latency.max)
    return [f"{latency.count:,}", *("-" if value is None else f"{value:.1f}" for value in values)]


def main() -> None:
    """Run it."""
    made = parser("path", __doc__, viewers=5000, seconds=10, rounds=5)
    made.add_argument("--runs", default="posts,log,c", help="which runs (default %(default)s)")
    made.add_argument("--encodings", default="gzip,plain", help="what viewers accept (default %(default)s)")
    made.add_argument("--rate", type=float, default=1000, help="posts/s (default %(default)s)")
    made.add_argument(
        "--users", type=int, default=8000, help="people who post, within everybody's limits (default %(default)s)"
    )
    made.add_argument("--log-viewers", type=int, default=10_000, help="viewers of the log run (default %(default)s)")
    made.add_argument("--log-rate", type=float, default=1000, help="comments/s of the log run (default %(default)s)")
    made.add_argument(
        "--nap",
        type=int,
        default=500,
        help="us between two looks of the load generator; 0: each write wakes it (default %(default)s)",
    )
    made.add_argument("--second-gateway", action="store_true", help="post to another gateway, on the client's core")
    options = parse(made)
    more = options.more
    settings = {"viewers": options.viewers, "rate": more.rate, "users": more.users, "nap (us)": more.nap}
    settings |= {"log viewers": more.log_viewers, "log rate": more.log_rate}
    result = begin("path", "The whole path", options, **settings)
    ways = {"posts": posts, "log": log, "c": bare}
    runs, encodings = more.runs.split(","), more.encodings.split(",")
    # The C loop first, beside the posts that are held against it.
    variants = {C_LOOP: ("c", "plain")} if "c" in runs else {}
    variants |= {f"{way}, {encoding}": (way, encoding) for way in runs if way != "c" for encoding in encodings}

    def run(variant: str) -> Run:
        way, encoding = variants[variant]
        return ways[way](options, encoding)

    aside: list[tuple[str, Run]] = []
    with awake(options.server_core, options.client_core):
        found = interleaved(list(variants), options.rounds, undisturbed(run, Run.disturbed, AGAIN, aside))
    for variant, runs in found.items():
        tell(result, variant, runs)
    result.rounds = found
    criteria(result, found)
    if aside:
        told = "; ".join(f"{variant}: {each.report.a.p50} / {each.report.a.p99} ms, {each.took}" for variant, each in aside)
        result.notes.append(
            f"Done again, since more than {MOST_STOLEN:.0%} of a core was stolen (p50 / p99, of either core): {told}."
        )
    result.finish()


def criteria(result: Result, found: dict[str, list[Run]]) -> None:
    """What the runs must show, by their medians."""
    for variant, own in found.items():
        if variant.startswith("posts"):
            p50, p99 = latencies(own)
            result.want(f"{variant}: p50 ms", spread(p50).median, at_most=P50_MS)
            result.want(f"{variant}: p99 ms", spread(p99).median, at_most=P99_MS)
            if C_LOOP in found:
                c50, c99 = latencies(found[C_LOOP])
                result.notes.append(
                    f"The C loop only fans out, plainly: median {spread(c50).text(0)} ms, p99 {spread(c99).text(0)} ms; "
                    f"*{variant}* takes {ratios(p50, c50).text()} and {ratios(p99, c99).text()} times as long."
                )
        elif variant.startswith("log"):
            # More than is offered is what the seconds before have left over.
            delivered = spread([min(r.report.items / r.report.seconds, r.viewers * r.rate) / 1e6 for r in own]).median
            result.want(f"{variant}: millions of comments delivered per second", delivered, at_least=9.9)
        result.want(f"{variant}: runs in which every viewer is complete", sum(r.complete for r in own), at_least=len(own))
    result.plots.append(Plot("path", "lines", "Window intervals", "percentile", "ms", intervals(found)))


def latencies(runs: list[Run]) -> tuple[list[float], list[float]]:
    """Each run's median and 99th percentile, in ms; where nothing came, more than any bound."""
    return [run.report.a.p50 or 1e9 for run in runs], [run.report.a.p99 or 1e9 for run in runs]


def intervals(found: dict[str, list[Run]]) -> dict[str, list[tuple[str | float, float]]]:
    """By variant, the window intervals' percentiles in the run of the median latency."""
    series: dict[str, list[tuple[str | float, float]]] = {}
    for variant, runs in found.items():
        middle = sorted(runs, key=lambda r: r.report.a.p50 or 0)[len(runs) // 2].report.interval
        points = (
            (10, middle.p10),
            (50, middle.p50),
            (90, middle.p90),
            (99, middle.p99),
            (99.9, middle.p999),
            (100, middle.max),
        )
        series[variant] = [(share, value) for share, value in points if value is not None]
    return series


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
