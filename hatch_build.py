"""Compiles the optional C parts, where there is a compiler; without them parts in Python do the same work."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Source -> library.
PARTS = {
    "gateway/fanout/writing.c": "gateway/fanout/_writing.so",
    "gateway/edge/accepting.c": "gateway/edge/_accepting.so",
}


class Compile(BuildHookInterface):  # type: ignore[type-arg]  # the plugin's own configuration type is not ours to name
    """hatchling's build hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's own signature
        """Compile beside the source, so that an editable installation finds it too."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            self.app.display_warning("no C compiler: fan-out takes about a seventh more CPU, and accepting a tenth")
            return
        for source, library in PARTS.items():
            self._compile(compiler, source, library, build_data)

    def _compile(self, compiler: str, source: str, library: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(root / library), str(root / source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            self.app.display_warning(f"{source} was not compiled and is left out: {done.stderr.strip()[:300]}")
            return
        build_data["artifacts"].append(library)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
