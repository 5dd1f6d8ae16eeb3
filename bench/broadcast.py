"""A live broadcast on this machine: nats-server, a gateway, a media worker, and an encoder that burns in the clock."""

import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import httpx

from bench.cpu import on_core
from bench.servers import NotReady, apply_topology, tokens, wait_ready
from tests import glass
from tests.backends.nats import NatsServer
from tests.encoders import Encoder
from tests.ports import free_port
from tests.processes import Process
from tests.waits import eventually


@dataclass(frozen=True)
class Source:
    """What is published."""

    size: tuple[int, int] = (1280, 720)
    rate: str = "4M"
    #: Pictures from one keyframe to the next.
    group: int = 30


@dataclass
class Broadcast:
    """The processes and where they are; *encoder* is the first one, to *worker*."""

    gateway: Process
    workers: list[Process]
    port: int
    stream_id: str
    rtmp_urls: list[str]
    key: str
    source: Source
    encoder: Encoder = field(init=False)

    @property
    def worker(self) -> Process:
        """The worker that the first encoder publishes to."""
        return self.workers[0]

    def publish(self, worker: int = 0, by: glass.Camera | None = None) -> AbstractAsyncContextManager[Encoder]:
        """Another encoder, as the first one was, publishing to that worker what *by* shows; killed at the end."""
        width, height = self.source.size
        url = f"{self.rtmp_urls[worker]}/{self.key}"
        return glass.source(url, width=width, height=height, group=self.source.group, rate=self.source.rate, by=by)

    @property
    def url(self) -> str:
        """The public address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def folder(self) -> str:
        """The path of the stream's video, with a slash at its end."""
        return f"/hls/{self.stream_id}/"

    @property
    def master(self) -> str:
        """The multivariant playlist."""
        return f"{self.url}{self.folder}master.m3u8"


@asynccontextmanager
async def broadcast(
    *,
    size: tuple[int, int] = (1280, 720),
    rate: str = "4M",
    group: int = 30,
    cores: tuple[int, int] | None = None,
    workers: int = 1,
    settings: Mapping[str, object] = MappingProxyType({}),
) -> AsyncIterator[Broadcast]:
    """Start everything and wait for the first segments; with *cores* the gateway on the first, all else on the second.

    *workers* media workers share one media folder.

    Raises:
        NotReady: a server did not start, or the stream did not.
    """
    async with AsyncExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="ovation-bench-")))
        secret, ports = secrets.token_hex(32), [free_port() for _ in range(1 + workers)]
        chosen: dict[str, object] = {
            "data_dir": folder / "data",
            "jwt_secret": secret,
            "ops_port": 0,
            "http_port": ports[0],
            "rtmp_host": "127.0.0.1",
            "drain_s": 0,
            "log_format": "json",
            **settings,
        }
        if cores:
            ends.enter_context(on_core(cores[1]))
        nats = NatsServer(folder / "nats").start()
        ends.callback(nats.kill)
        chosen["nats_url"] = nats.url
        apply_topology(folder, chosen)
        running = []
        for n, port in enumerate(ports[1:]):
            worker = Process("worker", "media", log=folder / f"worker-{n}.log", **{**chosen, "rtmp_port": port}).start()
            ends.callback(worker.kill)
            running.append(worker)
        gateway = Process("gateway", log=folder / "gateway.log", **chosen)
        if cores:
            with on_core(cores[0]):
                gateway.start()
        else:
            gateway.start()
        ends.callback(gateway.kill)
        for each in (*running, gateway):
            wait_ready(each)
        started = await _start(ports[0], secret)
        rtmp = [f"rtmp://127.0.0.1:{port}/live" for port in ports[1:]]
        source = Source(size, rate, group)
        made = Broadcast(gateway, running, ports[0], started["stream_id"], rtmp, started["stream_key"], source)
        made.encoder = await ends.enter_async_context(made.publish())
        await _live(made)
        yield made


async def _start(port: int, secret: str) -> dict[str, str]:
    heads = {"Authorization": f"Bearer {tokens(secret, 1)[0]}"}
    async with httpx.AsyncClient(timeout=30) as http:
        body = {"title": "Benchmark", "privacy": "public"}
        answer = await http.post(f"http://127.0.0.1:{port}/api/v1/streams/start", json=body, headers=heads)
    if answer.status_code != 201:
        raise NotReady(answer.text)
    started: dict[str, str] = answer.json()
    return started


async def _live(made: Broadcast) -> None:
    """Wait until the source's playlist has three segments."""
    async with httpx.AsyncClient(timeout=10) as http:

        async def there() -> bool:
            answer = await http.get(f"{made.url}{made.folder}source/index.m3u8")
            return answer.status_code == 200 and answer.text.count("#EXTINF") >= 3

        try:
            await eventually(there, timeout=30)
        except AssertionError as error:
            raise NotReady(made.worker.text[-3000:]) from error
