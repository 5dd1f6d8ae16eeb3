"""The tree as these tests see it: our files, without what set-up and runs made."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "infra", "ovation", "replay", "schemas", "workers")
MADE = {"node_modules", "dist", "__pycache__", "test-results"}
#: Lock files name where each package came from; that is what they are for.
LOCKS = {"uv.lock", "package-lock.json"}


@cache
def files() -> tuple[Path, ...]:
    """Every file that somebody wrote, relative to the root. Of dotted folders only CI's."""
    return tuple(sorted(_walk(ROOT)))


def python(*folders: str) -> list[Path]:
    """Python files under *folders*, or all of them."""
    return [path for path in files() if path.suffix == ".py" and (not folders or path.parts[0] in folders)]


@cache
def text(path: Path) -> str:
    """The text of a file, or nothing when it is no text."""
    try:
        return (ROOT / path).read_text()
    except UnicodeDecodeError:
        return ""


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(text(path), str(path))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods and nested ones too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def _walk(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name in MADE or (entry.name.startswith(".") and entry.name not in {".ci", ".github", ".gitignore"}):
            continue
        if entry.is_dir():
            yield from _walk(entry)
        elif entry.is_file():
            yield entry.relative_to(ROOT)
