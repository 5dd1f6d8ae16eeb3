"""What is written from the code is in step with it."""

import subprocess
import sys

import pytest

from tests.architecture.tree import ROOT


@pytest.mark.parametrize("module", ["schemas.generate", "scripts.reference"])
def test_generated_files_are_in_step(module: str) -> None:
    """JSON Schema, OpenAPI, AsyncAPI, the page's types, the settings and the metrics say what the structs and fields say."""
    ended = subprocess.run([sys.executable, "-m", module, "--check"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (0, "") == (ended.returncode, ended.stderr)
