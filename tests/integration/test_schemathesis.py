"""schemathesis over our own OpenAPI document, against a real gateway: what the document says is what the API does."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.backends.nats import NatsServer
from tests.cluster import cluster
from tests.processes import Client

pytestmark = [pytest.mark.nats, pytest.mark.timeout(240)]

PROGRAM = Path(sys.executable).with_name("schemathesis")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


async def test_the_api_is_as_it_says(nats_server: NatsServer, tmp_path: Path) -> None:
    """No server error, no undocumented status, type or shape, for a few hundred generated requests."""
    async with cluster(nats_server, tmp_path, limit_reactions="1000/1") as c, await Client(c.url(0)).guest() as ada:
        await ada.start()
        command = [
            *("run", f"{c.url(0)}/api/v1/openapi.json", "--url", f"{c.url(0)}/api/v1"),
            *("--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--seed", "7"),
            *("--header", f"Authorization: {ada.http.headers['Authorization']}"),
            *("--exclude-path-regex", "/(events|replay)$", "--no-color", "--max-failures", "5"),
        ]
        process = await asyncio.create_subprocess_exec(
            str(PROGRAM), *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()[-6000:]
