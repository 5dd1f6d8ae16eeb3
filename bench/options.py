"""The options all benchmarks share."""

import argparse
import shlex
import sys
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    viewers: int
    seconds: float
    rounds: int
    server_core: int
    client_core: int
    query: str = "backfill=0"
    settings: dict[str, str] = field(default_factory=dict)
    more: argparse.Namespace = field(default_factory=argparse.Namespace)


def parser(name: str, doc: str | None, *, viewers: int, seconds: float, rounds: int) -> argparse.ArgumentParser:
    """A parser with the shared options; a benchmark adds its own."""
    made = argparse.ArgumentParser(
        prog=f"python -m bench.{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--viewers", type=int, default=viewers, help="connections (default %(default)s)")
    made.add_argument("--seconds", type=float, default=seconds, help="measured per run (default %(default)s)")
    made.add_argument("--rounds", type=int, default=rounds, help="rounds, interleaved (default %(default)s)")
    made.add_argument("--server-core", type=int, default=0, help="core of the server under test (default %(default)s)")
    made.add_argument("--client-core", type=int, default=1, help="core of everything else (default %(default)s)")
    made.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a gateway setting: window_ms=50")
    made.add_argument("--query", default="backfill=0", help="what viewers ask with (default %(default)s)")
    return made


def parse(made: argparse.ArgumentParser) -> Options:
    """Read the command line."""
    got = made.parse_args()
    settings = dict(each.split("=", 1) for each in got.set)
    return Options(got.viewers, got.seconds, got.rounds, got.server_core, got.client_core, got.query, settings, got)


def command(name: str) -> str:
    """The command that repeats this run."""
    return shlex.join(["python", "-m", f"bench.{name}", *sys.argv[1:]])
