"""Latency under random arrivals: comments come as people write them, at a mean rate and never in step with the windows.

Latency counts from the moment a comment was due at the publisher to the moment a viewer's kernel has it (`SO_TIMESTAMPNS`),
over all viewers. A C `send()` loop with the same interval stands beside it: half of what its writes take is the median's
floor on a machine. The viewers' half of TCP runs on their core (`bench/steering.py`; `--loopback`: on the server's, as loopback
does by itself). What it takes one process to receive and read for a thousand viewers, one after the other, is no viewer's
latency; until it has read is printed beside the other.

The client does not sleep (`--sleep`: it does). Asleep it is woken by nearly every write to a viewer, and the server sends
its core a message for each of them; real viewers sleep elsewhere. It gives way to the broker beside it.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from bench import corpus
from bench.client import Client, Report, write_lines
from bench.options import Options, parse, parser
from bench.path import LATENCY, latency_cells
from bench.peers import c_loop
from bench.results import Plot, Result, Table, begin
from bench.rounds import spread
from bench.servers import site
from bench.steering import received_on

#: At most so many ms at the median, by comments per second.
WANTED = {5.0: 5.0, 20.0: 25.0, 60.0: 35.0}
WARM_S = 1.0
#: Of the C loop: the gateway's own default.
INTERVAL_MS = 50.0


class Run(Struct, frozen=True):
    """One server at one rate in one round."""

    server: str
    rate: float
    report: Report
    complete: bool
    server_cpu: float


def measure(server: str, options: Options, seed: int) -> list[Run]:
    """All rates, one after the other, on one *server*."""
    with SERVERS[server](options) as (pid, told), _client(options, seed, told) as client:
        client.open(positioned=server == OURS)
        return [_run(server, pid, client, float(rate), options.seconds) for rate in options.more.rates.split(",")]


def _client(options: Options, seed: int, told: dict[str, object]) -> Client:
    how = {"dense": True, "seed": seed, "spin": not options.more.sleep, "stamped": True}
    return Client(options.client_core, viewers=options.viewers, **how, **told)


def _run(server: str, pid: int, client: Client, rate: float, seconds: float) -> Run:
    client.tell(f"poisson {rate}")
    time.sleep(WARM_S)
    report, spent = client.over(seconds, pid)
    end = client.settle()
    a, core = report.a, spent.seconds / report.seconds
    print(
        f"{server} at {rate:g}/s: p50 {a.p50} p99 {a.p99} max {a.max} ms, read {report.read.p50} {report.read.p99}, "
        f"core {core:.2f}, complete {end.whole}",
        flush=True,
    )
    return Run(server, rate, report, end.whole, core)


@contextmanager
def _ovation(options: Options) -> Iterator[tuple[int, dict[str, object]]]:
    with site(options) as place:
        feed = place.post_options(corpus.post(), users=2000) if options.more.posts else place.log_options(corpus.plain())
        yield place.gateway.pid, {"port": place.port, "path": place.path, **feed}


@contextmanager
def _c_loop(options: Options) -> Iterator[tuple[int, dict[str, object]]]:
    """The same wire and interval without a log, a policy or Python: what this machine's sockets take by themselves."""
    with tempfile.TemporaryDirectory() as folder, c_loop(options, INTERVAL_MS) as peer:
        templates = write_lines(Path(folder) / "templates", corpus.plain())
        yield peer.pid, {"port": peer.port, "templates": templates, **peer.client}


OURS, LIMIT = "Ovation", "C send() loop"
SERVERS = {OURS: _ovation, LIMIT: _c_loop}


def tell(result: Result, rounds: list[list[Run]]) -> None:
    """Fill in the tables, the plot and the criteria."""
    columns = ["server", "comments/s", "rounds", "comments", "p50 ms", "p99 ms", "read p50", "read p99", "core", "all complete"]
    rows, quantiles = [], []
    series: dict[str, list[tuple[str | float, float]]] = defaultdict(list)
    for index, first in enumerate(rounds[0]):
        own = [runs[index] for runs in rounds]
        p50, p99 = spread([run.report.a.p50 or 1e9 for run in own]), spread([run.report.a.p99 or 1e9 for run in own])
        read = [run.report.read for run in own]
        rows.append(
            [
                first.server,
                f"{first.rate:g}",
                f"{len(own)}",
                f"{sum(run.report.a.count for run in own) // max(1, own[0].report.viewers):,}",
                p50.text(),
                p99.text(),
                spread([each.p50 or 1e9 for each in read]).text(),
                spread([each.p99 or 1e9 for each in read]).text(),
                f"{spread([run.server_cpu for run in own]).median:.3f}",
                "yes" if all(run.complete for run in own) else "NO",
            ]
        )
        name = f"{first.server}, {first.rate:g}/s"
        quantiles += [[f"{name}, round {n}", *latency_cells(run.report.a)] for n, run in enumerate(own, 1)]
        series[f"{first.server}, p50"].append((first.rate, p50.median))
        series[f"{first.server}, p99"].append((first.rate, p99.median))
        if first.server == OURS and first.rate in WANTED:
            result.want(f"p50 ms at {first.rate:g}/s", p50.median, at_most=WANTED[first.rate])
    result.tables.append(Table("Latency under Poisson arrivals", columns, rows))
    result.tables.append(Table("Its distributions, ms", ["run", *LATENCY], quantiles))
    result.plots.append(Plot("poisson", "lines", "Latency under Poisson arrivals", "comments/s", "ms", dict(series)))
    result.rounds = rounds


def _round(number: int, options: Options) -> list[Run]:
    print(f"round {number + 1}/{options.rounds}", flush=True)
    order = list(SERVERS) if number % 2 == 0 else list(SERVERS)[::-1]
    runs = {server: measure(server, options, seed=number + 1) for server in order}
    return [run for server in SERVERS for run in runs[server]]


def main() -> None:
    """Run it."""
    made = parser("poisson", __doc__, viewers=1000, seconds=30, rounds=3)
    made.add_argument("--rates", default="5,20,60", help="comments/s, comma separated (default %(default)s)")
    made.add_argument("--sleep", action="store_true", help="a client that sleeps until something comes, and must be woken")
    made.add_argument("--loopback", action="store_true", help="the viewers' half of TCP on the server's core")
    made.add_argument("--posts", action="store_true", help="POST the comments instead of publishing them into the log")
    options = parse(made)
    result = begin("poisson", "Poisson arrivals", options, viewers=options.viewers, posts=options.more.posts)
    with received_on(None if options.more.loopback else options.client_core) as steered:
        tell(result, [_round(number, options) for number in range(options.rounds)])
    where = (
        "All that loopback receives was received on the viewers' core: their half of TCP, as with a network card between them, "
        "but also the server's own (acknowledgements, the broker's messages), which a card would leave with it, so that `core` "
        "is too low by that, for both servers."
        if steered
        else "The viewers' half of TCP ran on the server's core, as loopback has it."
    )
    result.notes.append(f"{where} The criteria count until a viewer's kernel has the bytes, not until they are read.")
    result.finish()


if __name__ == "__main__":
    main()
