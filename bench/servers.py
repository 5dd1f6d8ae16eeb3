"""nats-server and gateway, started as `ovation up` starts them, each on its core."""

import contextlib
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import jwt

from bench.client import write_lines
from bench.cpu import cost, on_core, raise_file_limit
from bench.options import Options
from infra.settings import Settings
from schemas import subjects
from tests.backends.nats import NatsServer
from tests.ports import free_port
from tests.processes import Process

START_S = 120.0
#: Settings of later versions that would leave comments out or slow them down; those this version has are set.
WHOLE: dict[str, object] = {"policy": "0:0:1000000:1.0:0", "sample_from": 10**9}


class NotReady(Exception):
    """A server did not start; the message has the end of its log."""


@dataclass
class Site:
    """A broker, a gateway and one live stream."""

    folder: Path
    nats: NatsServer
    gateway: Process
    port: int
    secret: str
    stream_id: str
    query: str
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The stream's events."""
        return events(self.stream_id, self.query)

    @property
    def posts(self) -> str:
        """Where comments are posted."""
        return f"/api/v1/streams/{self.stream_id}/comments"

    def metrics(self) -> dict[str, float]:
        """The gateway's metrics, `name{labels}` to value."""
        return parse_metrics(httpx.get(f"{self.gateway.ops_url}/metrics", timeout=10).text)

    def gateway_cpu(self) -> float:
        """Seconds of CPU of the gateway, all threads."""
        return cost(self.gateway.pid).seconds

    def log_options(self, templates: list[str]) -> dict[str, object]:
        """The load generator's options to publish straight into the live log."""
        return {
            "feed": "nats",
            "feed_port": self.nats.port,
            "templates": write_lines(self.folder / "templates", templates),
            "subjects": write_lines(self.folder / "subjects", [subjects.live(0, self.stream_id)]),
        }

    def post_options(self, templates: list[str], users: int, pool: int = 256) -> dict[str, object]:
        """The load generator's options to post over HTTP, as *users* people in turn over *pool* connections."""
        return {
            "feed": "post",
            "feed_port": self.port,
            "feed_path": self.posts,
            "templates": write_lines(self.folder / "templates", templates),
            "tokens": write_lines(self.folder / "tokens", tokens(self.secret, users)),
            "pool": pool,
        }


def events(stream_id: str, query: str) -> str:
    """The path of a stream's events."""
    return f"/api/v1/streams/{stream_id}/events?{query}"


def tokens(secret: str, count: int) -> list[str]:
    """Tokens of *count* people, valid for a day."""
    until = int(time.time()) + 86_400
    claims = [{"sub": f"bench-{n:06d}", "name": f"Person {n}", "exp": until, "aud": "ovation"} for n in range(count)]
    return [jwt.encode(each, secret, algorithm="HS256") for each in claims]


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus' text format, `name{labels}` to value."""
    lines = [line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def known(**settings: object) -> dict[str, object]:
    """Those of *settings* that this version has: benchmarks name settings of the versions they came with."""
    return {name: value for name, value in settings.items() if name in Settings.__struct_fields__}


@contextmanager
def site(options: Options, **settings: object) -> Iterator[Site]:
    """Start everything, with *settings* for the gateway over the benchmarks' own and the command line's over both.

    Raises:
        NotReady: a server did not start.
    """
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="ovation-bench-") as name, contextlib.ExitStack() as ends:
        folder = Path(name)
        secret = secrets.token_hex(32)
        chosen: dict[str, object] = {
            "data_dir": folder / "data",
            "jwt_secret": secret,
            "ops_port": 0,
            "http_port": free_port(),
            "drain_s": 0,
            "log_format": "json",
            **known(**WHOLE),
            **settings,
            **options.settings,
        }
        with on_core(options.client_core):
            nats = NatsServer(folder / "nats").start()
        ends.callback(nats.kill)
        chosen["nats_url"] = nats.url
        apply_topology(folder, chosen)
        gateway = Process("gateway", log=folder / "gateway.log", **chosen)
        with on_core(options.server_core):
            gateway.start()
        ends.callback(gateway.kill)
        wait_ready(gateway)
        port = int(str(chosen["http_port"]))
        yield Site(folder, nats, gateway, port, secret, start_stream(port, secret), options.query, chosen)


@contextmanager
def second_gateway(options: Options, place: Site) -> Iterator[int]:
    """Another gateway of the same cluster, on the client's core; its port."""
    port = free_port()
    gateway = Process("gateway", log=place.folder / "second.log", **place.settings | {"http_port": port})
    with on_core(options.client_core):
        gateway.start()
    try:
        wait_ready(gateway)
        yield port
    finally:
        gateway.kill()


def wait_ready(process: Process) -> None:
    """Wait until a process of ours says it is ready.

    Raises:
        NotReady: it ended, or took too long.
    """
    deadline = time.monotonic() + START_S
    while process.state != "ready":
        if not process.alive or time.monotonic() > deadline:
            raise NotReady(process.text[-3000:])
        time.sleep(0.02)


def apply_topology(folder: Path, settings: dict[str, object]) -> None:
    """`ovation topology apply` with the gateway's own settings.

    Raises:
        NotReady: it was refused.
    """
    process = Process("topology", "apply", log=folder / "topology.log", **settings).start_plain()
    if process.wait(START_S):
        raise NotReady(process.text[-3000:])


def start_stream(port: int, secret: str, title: str = "Benchmark") -> str:
    """Start a public stream; its id."""
    [token] = tokens(secret, 1)
    answer = httpx.post(
        f"http://127.0.0.1:{port}/api/v1/streams/start",
        json={"title": title, "privacy": "public"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    if answer.status_code != 201:
        raise NotReady(answer.text)
    return str(answer.json()["stream_id"])
