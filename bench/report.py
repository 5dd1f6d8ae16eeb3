"""Write the results into README.md, between its markers: commands, circumstances, tables with their spreads, pictures.

python -m bench.report            all results there are
"""

import argparse
from pathlib import Path

from bench import results
from bench.plots import draw
from bench.results import Result

README = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
ORDER = (
    "writes",
    "path",
    "poisson",
    "memory",
    "memory-long",
    "accepting",
    "compression",
    "slow",
    "storm",
    "posting",
    "streams",
    "tls",
    "archive",
    "ingest",
    "origin",
    "glass",
    "glass-lossy",
    "adaptive",
    "outage",
    "alignment",
    "recording",
    "conformance",
    "nodes",
    "nodes-50",
    "nodes-hung-killed",
)


def section(result: Result, pictures: list[Path]) -> str:
    """One benchmark's part of the page."""
    settings = ", ".join(f"{name} {value}" for name, value in result.settings.items())
    parts = [
        f"## {result.title}",
        f"    {result.command}",
        f"{result.date}; {result.machine}; load before the run {result.load:g}. {settings}.",
    ]
    if result.wanted:
        verdicts = [["criterion", "wanted", "measured", ""], ["---"] * 4]
        verdicts += [
            [what, bound, measured, "holds" if holds else "**missed**"] for what, bound, measured, holds in result.wanted
        ]
        parts.append("\n".join("|" + "|".join(line) + "|" for line in verdicts))
    parts += [f"{table.title}:\n\n{table.markdown()}" for table in result.tables]
    if result.notes:
        parts.append("\n".join(f"* {note}" for note in result.notes))
    parts += [f"![{picture.stem}]({picture.relative_to(README.parent).as_posix()})" for picture in pictures]
    return "\n\n".join(parts)


def between(page: str, body: str) -> str:
    """*page* with *body* between its markers.

    Raises:
        ValueError: the page has no markers.
    """
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        msg = f"no {BEGIN} ... {END}"
        raise ValueError(msg)
    return f"{head}{BEGIN}\n\n{body}\n\n{END}{tail}"


def main() -> None:
    """Read all results and write the page."""
    argparse.ArgumentParser(
        prog="python -m bench.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    found = [results.read(path) for path in results.FOLDER.glob("*.json")]
    found.sort(key=lambda result: ORDER.index(result.name) if result.name in ORDER else len(ORDER))
    sections = [section(result, [draw(plot, results.FOLDER) for plot in result.plots]) for result in found]
    README.write_text(between(README.read_text(), "\n\n".join(sections)))
    print(f"{README}: {', '.join(result.name for result in found) or 'no results'}")


if __name__ == "__main__":
    main()
