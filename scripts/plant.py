"""Plant bugs, one at a time, and see that a test catches each. The list is also docs/testing.md's.

    .venv/bin/python -m scripts.plant                 all of them, in a copy of the tree
    .venv/bin/python -m scripts.plant --list          what would be planted, as the table of docs/testing.md
    .venv/bin/python -m scripts.plant cutover msg-id  some of them

Exits with 1 when a bug survives, or when the text it replaces is no longer in the code.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.bugs import BUGS
from scripts.bugs.bug import Bug

ROOT = Path(__file__).resolve().parents[1]


def plant(bug: Bug, tree: Path) -> str | None:
    """Plant one bug in *tree*, run its test, and mend it; what went wrong, or `None` when the test caught it."""
    path = tree / bug.file
    text = path.read_text()
    if not bug.old or text.count(bug.old) != 1:
        return f"the text to replace stands {text.count(bug.old) if bug.old else 0} times in {bug.file}"
    path.write_text(text.replace(bug.old, bug.new))
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", bug.test],
            cwd=tree,
            # The processes that tests start must run the planted tree, not the installed one.
            env={**os.environ, "PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    finally:
        path.write_text(text)
    if run.returncode == 1:
        return None
    return f"pytest ended with {run.returncode}:\n{run.stdout[-1500:]}{run.stderr[-500:]}"


def copy_tree(target: Path) -> None:
    """Copy what git knows, and what it does not ignore, to *target*."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="bugs to plant; all when none is named")
    parser.add_argument("--list", action="store_true", help="print the list and plant nothing")
    options = parser.parse_args()
    chosen = [bug for bug in BUGS if not options.names or bug.name in options.names]
    if options.list:
        for bug in chosen:
            print(f"| `{bug.name}` | {bug.what} | `{bug.file}` | `{bug.test}` |")
        return 0
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        copy_tree(Path(folder))
        for bug in chosen:
            fault = plant(bug, Path(folder))
            survived += fault is not None
            print(f"{'caught  ' if fault is None else 'SURVIVED'} {bug.name}: {bug.what}", flush=True)
            if fault:
                print(fault, flush=True)
    print(f"{len(chosen) - survived} passed, {survived} failed")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
