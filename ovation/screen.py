"""One line per process: drawn in place on a terminal, told once per change off it."""

import sys
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ovation.supervisor import Row

_COLOURS = {"ready": "green", "starting": "yellow", "degraded": "dark_orange", "stopped": "bright_black"}


class Screen:
    """What a person sees of a running `up`."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._footer = ""
        self._told: dict[str, tuple[str, int]] = {}
        self._live = Live(console=Console(stderr=False), auto_refresh=False) if sys.stdout.isatty() else None
        if self._live:
            self._live.start()

    def show(self, rows: Sequence[Row]) -> None:
        """Show the present states."""
        if self._live:
            self._live.update(self._drawn(rows), refresh=True)
            return
        for row in rows:
            told = (row.state, row.restarts)
            if self._told.get(row.name) != told:
                self._told[row.name] = told
                self.say(f"{row.name:<16} {row.state:<9} {row.note}".rstrip())

    def footer(self, text: str, rows: Sequence[Row]) -> None:
        """Set the lines below the processes."""
        self._footer = text
        if self._live:
            self.show(rows)
        else:
            self.say(text)

    def say(self, text: str) -> None:
        """Print a line."""
        if self._live:
            self._live.console.print(text, highlight=False)
        else:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def close(self) -> None:
        """Leave the last state standing."""
        if self._live:
            self._live.stop()

    def _drawn(self, rows: Sequence[Row]) -> Group:
        table = Table(box=None, pad_edge=False, show_header=False)
        for row in rows:
            state = Text(row.state, style=_COLOURS.get(row.state, ""))
            table.add_row(row.name, state, row.url, f"{row.restarts} restarts" if row.restarts else "", row.note)
        return Group(Text(self._title, style="bold"), table, Text(self._footer))
