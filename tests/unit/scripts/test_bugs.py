"""Planted bugs stay plantable: what they replace is there, and so is the test that has to catch them."""

from pathlib import Path

import pytest

from scripts.bugs import BUGS
from scripts.bugs.bug import Bug

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_has_its_place(bug: Bug) -> None:
    """Its text stands once in its file, or nothing would be planted where the code has moved on."""
    text = (ROOT / bug.file).read_text()

    assert text.count(bug.old) == 1
    assert bug.old != bug.new
    assert (ROOT / bug.test.partition("::")[0]).exists()


def test_the_table_is_the_list() -> None:
    """docs/testing.md names every bug with its file and its test."""
    table = (ROOT / "docs" / "testing.md").read_text()

    assert [bug.name for bug in BUGS if f"| `{bug.name}` | {bug.what} | `{bug.file}` | `{bug.test}` |" not in table] == []
