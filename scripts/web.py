"""npm in web/, with the Node that node.py chose: `python -m scripts.web build`, or any script of package.json."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts import node

WEB = Path(__file__).resolve().parent.parent / "web"
MODULES = WEB / "node_modules"
PAGE = WEB / "dist" / "index.html"
# In node_modules, because deleting that folder has to delete what is known about it; dist is served to people.
INSTALLED = MODULES / ".installed-from"
BUILT = MODULES / ".built-from"
MADE = {"node_modules", "dist", "coverage", "test-results"}


class Failed(Exception):
    """A step did not work; its output is above, the text says which step it was."""


def main() -> int:
    """Run the script of package.json that the arguments name; returns its exit code."""
    script, *rest = sys.argv[1:] or ["build"]
    try:
        if script == "build":
            build()
        else:
            npm("run", "--silent", script, "--", *rest)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def build() -> bool:
    """Bring web/dist in step with its sources; returns whether there was anything to do.

    Raises:
        Failed: npm ended with an error.
    """
    packages = digest(iter([WEB / "package.json", WEB / "package-lock.json"]))
    sources = digest(inputs())
    if said(BUILT) == sources and said(INSTALLED) == packages and PAGE.exists():
        return False
    if said(INSTALLED) != packages:
        print("Installing the page's packages", flush=True)
        # --include=dev: under NODE_ENV=production npm would leave out the compiler.
        npm("ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error")
        INSTALLED.write_text(packages)
    print("Building the page", flush=True)
    npm("run", "--silent", "build", "--", "--logLevel=error")
    if not PAGE.exists():
        msg = f"the build ended well and made no {PAGE}"
        raise Failed(msg)
    BUILT.write_text(sources)
    return True


def npm(*arguments: str) -> None:
    """Run npm in web/, its output going where ours goes.

    Raises:
        Failed: npm is not there, or ended with an error.
    """
    environment = node.environment()
    program = shutil.which("npm", path=environment["PATH"])
    if program is None:
        msg = "no npm: ./just setup installs one where the machine has no Node 20.19 or newer"
        raise Failed(msg)
    code = subprocess.run([program, *arguments], cwd=WEB, env=environment, check=False, stdin=subprocess.DEVNULL).returncode
    if code:
        msg = f"web: `npm {' '.join(arguments)}` ended with {code}; its own words are above"
        raise Failed(msg)


def inputs() -> Iterator[Path]:
    """Every file of web/ that is written by people."""
    for path in sorted(WEB.rglob("*")):
        if path.is_file() and not MADE.intersection(path.relative_to(WEB).parts):
            yield path


def digest(paths: Iterator[Path]) -> str:
    """One hash over the names and contents of *paths*: times of files mean nothing after a checkout."""
    total = hashlib.sha256()
    for path in paths:
        total.update(str(path.relative_to(WEB)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def said(stamp: Path) -> str:
    """What *stamp* says, or nothing."""
    return stamp.read_text() if stamp.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
