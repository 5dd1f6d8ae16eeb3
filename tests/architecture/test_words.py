"""What is written down leads somewhere, and holds on any machine."""

import re

from tests.architecture.tree import LOCKS, ROOT, files, text

REGISTRIES = re.compile(r"https?://[^\s\"')]*(?:pypi|pythonhosted|npmjs|crates|golang|maven|debian)", re.IGNORECASE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def test_no_registry_is_named() -> None:
    """Packages come from wherever the machine's pip, npm and apt are configured to look."""
    assert [] == [str(path) for path in files() if path.name not in LOCKS and REGISTRIES.search(text(path))]


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link of every Markdown file names a file or folder that is there."""
    broken = [
        f"{path}: {target}"
        for path in files()
        if path.suffix == ".md"
        for target in LINK.findall(text(path))
        if "://" not in target and not target.startswith("mailto:") and not (ROOT / path.parent / target).exists()
    ]

    assert [] == broken


def test_a_recipe_is_short_and_documented() -> None:
    """At most fifteen recipes, each with a group and a line of documentation; what is longer than two lines is a script."""
    blocks = re.split(r"\n\n+", (ROOT / "justfile").read_text())
    recipes = [block.splitlines() for block in blocks if re.search(r"^[a-z][\w-]*[^:\n]*:(?!=)", block, re.MULTILINE)]
    public = [lines for lines in recipes if not lines[0].startswith("_")]

    assert 10 < len(public) <= 15
    assert [] == [lines for lines in public if not (lines[0].startswith("[group(") and lines[1].startswith("[doc("))]
    # `check` is the one list: a line for each checker.
    assert [] == [lines[2] for lines in public if len(lines) > 5 and not lines[2].startswith("check:")]
