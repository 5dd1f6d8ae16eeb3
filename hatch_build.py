"""Compiles the one optional C part, where there is a compiler; without it the part in Python does the same work."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "gateway/fanout/writing.c"
LIBRARY = "gateway/fanout/_writing.so"


class Compile(BuildHookInterface):  # type: ignore[type-arg]  # the plugin's own configuration type is not ours to name
    """hatchling's build hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's own signature
        """Compile beside the source, so that an editable installation finds it too."""
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            self.app.display_warning(f"no C compiler: {SOURCE} is left out, fan-out takes about a seventh more CPU")
            return
        root = Path(self.root)
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(root / LIBRARY), str(root / SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            self.app.display_warning(f"{SOURCE} was not compiled and is left out: {done.stderr.strip()[:300]}")
            return
        build_data["artifacts"].append(LIBRARY)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
