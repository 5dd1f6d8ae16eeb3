"""Accepted connections per second, beside a C `send()` loop and nchan, all with the same client in the same run.

Every variant opens all viewers once per round, as many on their way as its listen queue holds; the clock stops when the last
one has the head of its answer. The client connects from the other core, where the kernel handles its half of each handshake:
what a connection costs it is counted too, since with it a second has room for no more than 1 s / (what it costs).
"""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from bench import corpus, peers
from bench.client import Client, write_lines
from bench.cpu import cost
from bench.options import Options, parse, parser
from bench.results import Result, Table, bars, begin
from bench.rounds import interleaved, ratios, spread
from bench.servers import site

WANTED = 15_000
OURS, LIMIT, NCHAN = "Ovation", "C send() loop", "nchan http-raw-stream"


class Run(Struct, frozen=True):
    """One variant in one round; CPU in us per connection, `waited` the share of the time its core was another's."""

    per_s: float
    server_us: float
    client_us: float
    waited: float

    def __str__(self) -> str:
        return f"{self.per_s:,.0f}/s, server {self.server_us:.1f} us, client {self.client_us:.1f} us"


@contextmanager
def _ovation(options: Options, _templates: Path) -> Iterator[tuple[int, dict[str, object]]]:
    with site(options, max_connections=options.more.in_flight) as place:
        yield place.gateway.pid, {"port": place.port, "path": place.path, **place.log_options(corpus.plain())}


@contextmanager
def _c_loop(options: Options, templates: Path) -> Iterator[tuple[int, dict[str, object]]]:
    with peers.c_loop(options, 0) as peer:
        yield peer.pid, {"port": peer.port, "templates": templates, **peer.client}


@contextmanager
def _nchan(options: Options, templates: Path) -> Iterator[tuple[int, dict[str, object]]]:
    with peers.nchan_raw(options, 0) as peer:
        yield peer.pid, {"port": peer.port, "templates": templates, **peer.client}


VARIANTS = {LIMIT: _c_loop, OURS: _ovation, NCHAN: _nchan}


def measure(variant: str, options: Options) -> Run:
    """Open all viewers once."""
    with contextlib.ExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
        pid, told = ends.enter_context(VARIANTS[variant](options, write_lines(folder / "templates", corpus.plain())))
        client = ends.enter_context(
            Client(
                options.client_core,
                viewers=options.viewers,
                in_flight=options.more.in_flight,
                sources=1 + options.viewers // 20_000,
                dense=True,
                **told,
            )
        )
        idle, before = cost(pid), cost(client.pid)
        opened = client.open(positioned=variant == OURS)
        spent, own = cost(pid).since(idle), cost(client.pid).since(before)
    return Run(
        per_s=opened.open / opened.seconds,
        server_us=spent.seconds * 1e6 / opened.open,
        client_us=own.seconds * 1e6 / opened.open,
        waited=spent.waited / opened.seconds,
    )


def tell(result: Result, runs: dict[str, list[Run]]) -> None:
    """Fill in the table, the plot and the criterion."""
    rows = [
        [
            variant,
            spread([run.per_s for run in own]).text(0),
            spread([run.server_us for run in own]).text(1),
            spread([run.client_us for run in own]).text(1),
            ratios([run.server_us for run in runs[LIMIT]], [run.server_us for run in own]).text(),
            f"{spread([run.waited for run in own]).median:.2f}",
        ]
        for variant, own in runs.items()
    ]
    columns = ["server", "accepted/s", "server us/connection", "client us/connection", "C / this", "server waited for its core"]
    result.tables.append(Table("Accepting", columns, rows))
    rates = {variant: spread([run.per_s for run in own]) for variant, own in runs.items()}
    result.plots.append(bars("accepting", "Accepted connections", "per second", rates))
    result.rounds = runs
    result.want("accepted connections per second", rates[OURS].median, at_least=WANTED)


def main() -> None:
    """Run it."""
    made = parser("accepting", __doc__, viewers=5000, seconds=0, rounds=5)
    made.add_argument("--in-flight", type=int, default=256, help="connects on their way at once (default %(default)s)")
    options = parse(made)
    more: argparse.Namespace = options.more
    result = begin("accepting", "Accepting", options, viewers=options.viewers, in_flight=more.in_flight)
    tell(result, interleaved([*VARIANTS], options.rounds, lambda variant: measure(variant, options)))
    result.finish()


if __name__ == "__main__":
    main()
