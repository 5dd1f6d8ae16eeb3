"""What is written from the code is in step with it."""

import subprocess
import sys

import pytest

from gateway.app import API, routes
from schemas import openapi
from tests.architecture.tree import ROOT


@pytest.mark.parametrize("module", ["schemas.generate", "scripts.reference"])
def test_generated_files_are_in_step(module: str) -> None:
    """JSON Schema, OpenAPI, AsyncAPI, the page's types, the settings and the metrics say what the structs and fields say."""
    ended = subprocess.run([sys.executable, "-m", module, "--check"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (0, "") == (ended.returncode, ended.stderr)


def test_the_document_has_every_route_and_no_other() -> None:
    """OpenAPI names each operation that the route table serves under /api, and nothing else; the WebSocket is AsyncAPI's."""
    served = {
        (method.lower(), route.path.removeprefix(API).replace(":path}", "}"))
        for route in routes()
        if route.path.startswith(API)
        for method in (route.methods or set()) - {"HEAD"}
    }
    said = {(method, path) for path, operations in openapi.document()["paths"].items() for method in operations}

    assert served - {("get", "/openapi.json"), ("get", "/ws")} == said
