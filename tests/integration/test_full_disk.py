"""JetStream on a disk that is really full: refused with the cause, nothing acknowledged is lost, and it goes on."""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import Unavailable
from schemas import subjects
from tests.backends.nats import PROGRAM
from tests.broker import broker, fresh_stream
from tests.disks import small_disk
from tests.ports import free_port
from tests.waits import eventually

pytestmark = pytest.mark.nats

KILOBYTES_100 = b"x" * 100_000


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    with small_disk(tmp_path / "small", "24m") as folder:
        yield folder


class Server:
    """A server that believes in more disk than there is, as one beside a growing neighbour does."""

    def __init__(self, store: Path, config: Path) -> None:
        self._port = free_port()
        self._config = config
        jetstream = f"{{ store_dir: '{store}', max_file_store: 100GB }}"
        config.write_text(f"listen: 127.0.0.1:{self._port}\njetstream {jetstream}\n")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self._port}"

    def start(self) -> "Server":
        """Start it, or start it again."""
        self._process = subprocess.Popen([str(PROGRAM), "-c", str(self._config)], stderr=subprocess.DEVNULL)
        return self

    def kill(self) -> None:
        """Kill it (SIGKILL)."""
        self._process.kill()
        self._process.wait()


@pytest.fixture(name="server")
def _server(small: Path, tmp_path: Path) -> Iterator[Server]:
    """A server on the small file system."""
    server = Server(small / "js", tmp_path / "nats.conf").start()
    yield server
    server.kill()


async def test_a_full_disk_is_told_and_loses_nothing(server: Server, small: Path) -> None:
    """Posting ends with Unavailable that names the disk; what was acknowledged is there; with room and a restart it goes on."""
    ballast = small / "ballast"
    ballast.write_bytes(b"x" * 4_000_000)
    async with broker(server.url, wait_s=3.0) as b:
        subject = subjects.live(0, fresh_stream())
        acknowledged: list[int] = []

        async def fill() -> None:
            for _ in range(400):
                ack = await b.publisher.publish(subject, KILOBYTES_100, uuid.uuid4().hex)
                acknowledged.append(ack.seq)

        with pytest.raises(Unavailable, match="disk may be full"):
            await fill()
        stored = [message.seq for message in await b.reader.range("LIVE_0", subject, 0, acknowledged[-1])]
        assert acknowledged == stored

        ballast.unlink()
        # nats-server 2.15 does not write to a log again whose disk was full, until it is started anew.
        server.kill()
        server.start()

        async def goes_on() -> bool:
            try:
                await b.publisher.publish(subject, KILOBYTES_100, uuid.uuid4().hex)
            except Unavailable:
                return False
            return True

        await eventually(goes_on)
        stored = [message.seq for message in await b.reader.range("LIVE_0", subject, 0, acknowledged[-1])]
        assert acknowledged == stored
