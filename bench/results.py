"""A benchmark's outcome as a file: what was run, where, the tables people read and the rounds behind them."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from bench import cpu
from bench.options import Options, command
from bench.rounds import Spread

FOLDER = Path(__file__).resolve().parent / "results"


class Table(Struct):
    """Rows of text under a title."""

    title: str
    columns: list[str]
    rows: list[list[str]]

    def markdown(self) -> str:
        """As a Markdown table."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join("|" + "|".join(line) + "|" for line in lines)


class Plot(Struct):
    """A picture: `bars` with one value per series and x, or `lines` of (x, y). `spread` are (low, high) per bar."""

    name: str
    kind: str
    title: str
    x: str
    y: str
    series: dict[str, list[tuple[str | float, float]]]
    spread: dict[str, list[tuple[float, float]]] = field(default_factory=dict)


def bars(name: str, title: str, y: str, values: Mapping[str, Spread]) -> Plot:
    """A bar for each of *values*: its median, from its lowest to its highest."""
    series: dict[str, list[tuple[str | float, float]]] = {each: [(each, value.median)] for each, value in values.items()}
    lines = {each: [(value.low, value.high)] for each, value in values.items()}
    return Plot(name=name, kind="bars", title=title, x="", y=y, series=series, spread=lines)


class Result(Struct):
    """One benchmark. `wanted` are criteria: what, the bound, what was measured, whether it holds."""

    name: str
    title: str
    command: str
    date: str
    machine: str
    load: float
    settings: dict[str, str]
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    wanted: list[tuple[str, str, str, bool]] = field(default_factory=list)
    rounds: Any = None

    def want(self, what: str, measured: float, *, at_most: float | None = None, at_least: float | None = None) -> None:
        """Compare *measured* with its bound."""
        holds = (at_most is None or measured <= at_most) and (at_least is None or measured >= at_least)
        bound = f"at most {at_most:g}" if at_most is not None else f"at least {at_least:g}"
        self.wanted.append((what, bound, f"{measured:,.3f}", holds))

    def save(self) -> Path:
        """Write the file; where it is."""
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{self.name}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")
        return path

    def finish(self) -> None:
        """Write the file and print the tables."""
        path = self.save()
        for table in self.tables:
            print(f"\n{table.title}\n{table.markdown()}")
        for note in self.notes:
            print(f"* {note}")
        for what, bound, measured, holds in self.wanted:
            print(f"{'ok  ' if holds else 'MISS'} {what}: {measured} ({bound})")
        print(f"written to {path}")


def begin(name: str, title: str, options: Options, **settings: object) -> Result:
    """A result that knows the circumstances; the load is that of before the run."""
    load = round(float(Path("/proc/loadavg").read_text().split()[0]), 2)
    shown = {key: str(value) for key, value in settings.items()} | options.settings
    today = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Result(name, title, command(name), today, cpu.machine(), load, shown)


def added(name: str, runs: list[dict[str, Any]], order: Sequence[str]) -> list[dict[str, Any]]:
    """*runs* of some players, and those of the others from the time before that say as much; in *order* of the players."""
    path = FOLDER / f"{name}.json"
    now = {run["player"] for run in runs}
    before = read(path).rounds if path.exists() else []
    kept = [run for run in before if run["player"] not in now and set(run) == set(runs[0])]
    return sorted(runs + kept, key=lambda run: order.index(run["player"]))


def read(path: Path) -> Result:
    """Read a result's file."""
    return msgspec.json.decode(path.read_bytes(), type=Result)
