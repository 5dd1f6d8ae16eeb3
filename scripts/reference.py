"""docs/settings.md and docs/metrics.md, written from the code that reads the settings and keeps the metrics.

`python -m scripts.reference` writes them; `--check` writes nothing and ends with 1 when one of them is out of step.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from infra import settings
from infra.limit import Limit
from infra.telemetry import metrics

ROOT = Path(__file__).resolve().parent.parent
TOLD = "Written from the code by `./just schemas`; a test keeps it in step."


def main() -> int:
    """Write or check the two pages; returns the exit code."""
    check = sys.argv[1:] == ["--check"]
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is out of step with the code; run ./just schemas", file=sys.stderr)
        else:
            path.write_text(pages()[path])
    return 1 if check and stale else 0


def pages() -> dict[Path, str]:
    """Each page's path and text."""
    return {
        ROOT / "docs" / "settings.md": (
            "# Settings\n\nEvery setting is an environment variable with a default. An unknown `OVATION_*` variable or a bad\n"
            f"value stops the start with exit code 2 and is named. {TOLD}\n\n"
            "| variable | default | meaning |\n|---|---|---|\n"
            + "".join(f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in rows())
        ),
        ROOT / "docs" / "metrics.md": (
            "# Metrics\n\nEvery process serves these on its internal port at `/metrics`, in Prometheus' text format;\n"
            f"a process keeps at zero what is not its own. {TOLD}\n\n" + metrics.table()
        ),
    }


def rows() -> Iterator[tuple[str, str, str]]:
    """Variable, default and meaning of each setting, in the order of the code; the meaning is the comment above the field."""
    source = Path(settings.__file__).read_text()
    lines = source.splitlines()
    defaults = settings.Settings()
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.ClassDef) and node.name == settings.Settings.__name__):
            continue
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                name = field.target.id
                yield settings.PREFIX + name.upper(), shown(getattr(defaults, name)), meaning(lines, field.lineno - 1)


def meaning(lines: list[str], at: int) -> str:
    """The comment that ends right above line *at*, as one line for a table."""
    start = at
    while lines[start - 1].strip().startswith("#"):
        start -= 1
    return " ".join(line.strip().lstrip("# ") for line in lines[start:at]).replace("|", "\\|")


def shown(default: object) -> str:
    """A default as somebody would write it in the environment."""
    if isinstance(default, Limit):
        return f"`{default.count}/{default.seconds}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, float) and default.is_integer():
        return f"`{int(default)}`"
    return "empty" if default is None or not str(default) else f"`{default}`"


if __name__ == "__main__":
    sys.exit(main())
