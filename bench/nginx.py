"""Debian's nginx: as the proxy in front of a gateway, with and without TLS, and with nchan.

Its packages are downloaded with apt-get and unpacked into `.build`; nothing is installed, but nchan needs /var/lib/nginx.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from bench.build import BUILD
from bench.cpu import on_core, raise_file_limit
from bench.servers import NotReady
from tests.ports import free_port
from tests.waits import STEP_S

PACKAGES = ("nginx", "libnginx-mod-nchan")
UNPACKED = BUILD / "nginx"
PROGRAM = UNPACKED / "usr/sbin/nginx"
NCHAN = UNPACKED / "usr/lib/nginx/modules/ngx_nchan_module.so"
START_S = 10.0
#: nchan makes a folder in here whatever the configuration says, and cannot make this one.
COMPILED_IN = Path("/var/lib/nginx")

#: What a proxy in front of a gateway needs: no buffering, HTTP/1.1 upstream, and patience.
PROXY = """
server {{
    listen 127.0.0.1:{port} {tls} backlog=4096;
    location / {{
        proxy_pass http://127.0.0.1:{upstream};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_buffering off;
        proxy_read_timeout 1h;
    }}
}}
"""
TLS = """
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
"""
MAIN = """
daemon off;
user root;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{load}
events {{ worker_connections 19800; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    tcp_nodelay on;
    {http}
    {servers}
}}
"""


@cache
def program() -> Path:
    """The path of nginx with nchan beside it, unpacked on first use.

    Raises:
        subprocess.CalledProcessError: the packages could not be downloaded.
    """
    if not (PROGRAM.exists() and NCHAN.exists()):
        UNPACKED.mkdir(parents=True, exist_ok=True)
        print("downloading Debian's nginx and nchan (once)", flush=True)
        subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=UNPACKED, check=True, capture_output=True)
        for package in UNPACKED.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(UNPACKED)], check=True)
    return PROGRAM


@contextmanager
def nginx(
    folder: Path, core: int, servers: str, *, http: str = "", nchan: bool = False, workers: int = 1
) -> Iterator[subprocess.Popen[bytes]]:
    """Run nginx with *servers* in its `http` block.

    Raises:
        NotReady: it did not start; the message has its error log.
    """
    raise_file_limit()
    folder.mkdir(parents=True, exist_ok=True)
    if nchan:
        COMPILED_IN.mkdir(parents=True, exist_ok=True)
    load = f"load_module {NCHAN};" if nchan else ""
    path = program()
    config = folder / "nginx.conf"
    config.write_text(MAIN.format(folder=folder, workers=workers, load=load, http=http, servers=servers))
    with on_core(core):
        process = subprocess.Popen(
            [str(path), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")], stdin=subprocess.DEVNULL
        )
    try:
        _wait(process, folder)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(int(START_S / STEP_S)):
        try:
            code = process.wait(STEP_S)
        except subprocess.TimeoutExpired:
            if (folder / "nginx.pid").exists() and (folder / "nginx.pid").read_text().strip():
                return
        else:
            msg = f"nginx ended with {code}: {(folder / 'error.log').read_text()[-2000:]}"
            raise NotReady(msg)
    msg = "nginx did not start"
    raise NotReady(msg)


@contextmanager
def proxy(folder: Path, core: int, upstream: int, *, tls: bool = False, workers: int = 1) -> Iterator[tuple[int, int]]:
    """A proxy to the gateway on port *upstream*; its port and its process id."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    if tls:
        _certificate(folder)
    servers = PROXY.format(port=port, upstream=upstream, tls="ssl" if tls else "")
    with nginx(folder, core, servers, http=TLS.format(folder=folder) if tls else "", workers=workers) as process:
        yield port, process.pid


def _certificate(folder: Path) -> None:
    """A certificate as sites have them: ECDSA on P-256."""
    subject = ["-subj", "/CN=localhost", "-days", "2", "-nodes"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    out = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    subprocess.run(["openssl", "req", "-x509", *kind, *subject, *out], check=True, capture_output=True)
