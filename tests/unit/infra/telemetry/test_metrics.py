"""Every metric is declared in one place, means something, and is documented."""

import re
from pathlib import Path

from infra.telemetry import metrics

DOCS = Path(__file__).resolve().parents[4] / "docs"


def test_a_metric_says_what_it_is() -> None:
    """Ours by its prefix, with a meaning, and in the table once."""
    rows = metrics.table().splitlines()[2:]
    names = [row.split("`")[1] for row in rows]

    assert len(names) == len(set(names)) > 10
    assert [] == [name for name in names if not name.startswith("ovation_")]
    assert [] == [row for row in rows if not row.split("|")[4].strip()]


def test_nothing_is_labelled_by_what_has_no_end() -> None:
    """A label per stream or viewer would make a series of each: memory without a bound, here and in every scraper."""
    labels = {label.strip() for row in metrics.table().splitlines()[2:] for label in row.split("|")[3].split(",")} - {""}

    known = {"source", "reason", "method", "status", "outcome", "code", "log", "consumer", "type", "transport"}
    assert labels == known | {"kind", "about", "rendition", "sink", "operation", "result", "what", "of"}


def test_what_people_are_told_to_watch_is_there() -> None:
    """Each metric that docs/operating.md names, in a table or an expression, is one of ours."""
    # A histogram has three.
    ours = {row.split("`")[1] for row in metrics.table().splitlines()[2:]}
    ours |= {name + end for name in ours for end in ("_bucket", "_count", "_sum")}
    named = set(re.findall(r"\bovation_[a-z0-9_]+", (DOCS / "operating.md").read_text()))

    assert len(named) > 10
    assert named - ours == set()


def test_the_exposition_is_prometheus_text() -> None:
    """Each declared metric is told with its type, at zero before anything happened."""
    text = metrics.exposition().decode()

    for row in metrics.table().splitlines()[2:]:
        name, kind = row.split("`")[1], row.split("|")[2].strip()
        # The text format leaves `_total` off the type line of a counter.
        assert re.search(rf"^# TYPE {name.removesuffix('_total')}(_total)? {kind}$", text, re.MULTILINE), name
