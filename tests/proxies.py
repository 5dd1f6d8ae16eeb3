"""nginx and HAProxy as they are run before gateways: the files of docs/proxies, with a test's own ports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.cluster import Cluster
from tests.ports import free_port
from tests.waits import eventually

DOCS = Path(__file__).resolve().parents[1] / "docs" / "proxies"

_NGINX = """daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    {site}
}}
"""


def _ports(text: str, ports: dict[str, str]) -> str:
    for old, new in ports.items():
        assert old in text, f"{old} stands no more in the documented file"
        text = text.replace(old, new)
    return text


@asynccontextmanager
async def through_nginx(program: str, c: Cluster, folder: Path) -> AsyncIterator[int]:
    """Run nginx before the first gateway; its port."""
    port = free_port()
    site = _ports(
        (DOCS / "nginx.conf").read_text(), {"127.0.0.1:8080": f"127.0.0.1:{c.ports[0]}", "listen 80;": f"listen {port};"}
    )
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, site=site))
    arguments = ["-e", f"{folder}/error.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"]
    async with _running([program, *arguments], port):
        yield port


@asynccontextmanager
async def through_haproxy(program: str, c: Cluster, folder: Path) -> AsyncIterator[int]:
    """Run HAProxy before the first gateway; its port."""
    port = free_port()
    ops = urlsplit(c.gateways[0].ops_url).port
    changes = {"127.0.0.1:8080": f"127.0.0.1:{c.ports[0]}", "bind :80": f"bind :{port}", "port 9600": f"port {ops}"}
    text = _ports((DOCS / "haproxy.cfg").read_text(), {**changes, "maxconn 60000": "maxconn 500"})
    (folder / "haproxy.cfg").write_text(text)
    async with _running([program, "-db", "-f", f"{folder}/haproxy.cfg"], port):
        yield port


@asynccontextmanager
async def _running(command: list[str], port: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL)

    async def answers() -> bool:
        assert process.returncode is None, f"{command[0]} ended with {process.returncode}"
        async with httpx.AsyncClient() as client:
            try:
                return (await client.get(f"http://127.0.0.1:{port}/api/v1/streams")).status_code == 200
            except httpx.HTTPError:
                return False

    try:
        await eventually(answers)
        yield
    finally:
        process.terminate()
        await process.wait()
