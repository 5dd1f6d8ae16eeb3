"""Results into pictures: SVG files beside the results."""

import re
from pathlib import Path

from bench.results import Plot

#: In the order of the series; readable in grey and for the colour-blind (Okabe and Ito).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#000000")


def draw(plot: Plot, folder: Path) -> Path:
    """Write *plot* as SVG into *folder*; its path.

    Raises:
        ImportError: matplotlib is not installed; `./just bench report` installs it.
    """
    import matplotlib as mpl  # noqa: PLC0415 - a dependency of this picture only

    mpl.use("svg")
    # The same figures make the same file.
    mpl.rcParams.update({"svg.hashsalt": "ovation", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend was chosen

    figure, axes = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    if plot.kind == "bars":
        _bars(axes, plot)
    else:
        for colour, (name, points) in zip(COLOURS, plot.series.items(), strict=False):
            axes.plot([x for x, _ in points], [y for _, y in points], marker="o", markersize=3, label=name, color=colour)
    axes.set_title(plot.title)
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", linewidth=0.3)
    if len(plot.series) > 1 and not _one_each(plot):
        axes.legend()
    path = folder / f"{plot.name}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    # Trailing blanks are matplotlib's own.
    path.write_text(re.sub(r" +$", "", path.read_text(), flags=re.MULTILINE))
    return path


def _one_each(plot: Plot) -> bool:
    return plot.kind == "bars" and all(len(points) == 1 for points in plot.series.values())


def _bars(axes, plot: Plot) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - matplotlib's Axes, which mypy may not see
    names = list(dict.fromkeys(str(x) for points in plot.series.values() for x, _ in points))
    width = 0.8 if _one_each(plot) else 0.8 / len(plot.series)
    for index, (name, points) in enumerate(plot.series.items()):
        shift = 0 if _one_each(plot) else (index - (len(plot.series) - 1) / 2) * width
        at = [names.index(str(x)) + shift for x, _ in points]
        heights = [y for _, y in points]
        reach = plot.spread.get(name)
        error = (
            [
                [y - low for y, (low, _) in zip(heights, reach, strict=True)],
                [high - y for y, (_, high) in zip(heights, reach, strict=True)],
            ]
            if reach
            else None
        )
        axes.bar(at, heights, width, yerr=error, label=name, color=COLOURS[index % len(COLOURS)], capsize=3)
    axes.set_xticks(range(len(names)), names, rotation=12 if len(names) > 4 else 0)
