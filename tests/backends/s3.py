"""A real S3 service: SeaweedFS's `weed` as a process of the test run, in a container, or one that runs elsewhere."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import obstore
from obstore.store import S3Store

from infra.objects.s3 import Access
from tests.ports import free_port
from tests.stopping import stop

PROGRAM = Path(sys.executable).with_name("weed")
START_S = 60.0
IMAGE = "chrislusf/seaweedfs:4.48"
BUCKET = "ovation"
REGION = "us-east-1"
#: Who may do what: one that makes buckets by writing to them, one that has no more than Ovation needs, one that only reads.
ADMIN = ("admin-key", "admin-secret")
KEY = ("test-key", "test-secret")
READER = ("reader-key", "reader-secret")
_ACTIONS = {
    ADMIN: ["Admin", "Read", "Write", "List", "Tagging"],
    KEY: ["Read", "Write", "List", "Tagging"],
    READER: ["Read", "List"],
}
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class S3Elsewhere:
    """A service that the tests talk to and cannot kill: TEST_S3_ENDPOINT's, or a container's."""

    endpoint: str
    what: str
    bucket: str = BUCKET
    key: tuple[str, str] = KEY
    region: str = REGION

    def access(self, **changed: object) -> Access:
        """How to reach it, with short waits and what a test wants otherwise."""
        return _access(self.endpoint, self.region, self.key, changed)


@dataclass
class WeedServer:
    """One `weed server -s3` in *folder*; it ends with the test run, however that ends."""

    folder: Path
    bucket: str = BUCKET
    process: subprocess.Popen[bytes] | None = None
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        """Where S3 is spoken."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    @property
    def what(self) -> str:
        """For the header."""
        return version()

    def access(self, **changed: object) -> Access:
        """How to reach it, with short waits and what a test wants otherwise."""
        return _access(self.endpoint, REGION, KEY, changed)

    def start(self) -> "WeedServer":
        """Start it; returns when it takes objects into its bucket."""
        self.folder.mkdir(parents=True, exist_ok=True)
        identities(self.folder / "identities.json")
        for name in ("master", "volume", "filer", "s3"):
            for port in (name, f"{name}.grpc"):
                self.ports[port] = self.ports.get(port) or free_port()
        (self.folder / "data").mkdir(exist_ok=True)
        with (self.folder / "weed.log").open("ab") as output:
            self.process = subprocess.Popen(
                [str(PROGRAM), "-logtostderr", *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one libc call
            )
        try:
            make_bucket(self.endpoint, self.bucket, lambda: self.process is not None and self.process.poll() is None)
        except AssertionError as error:
            self.kill()
            msg = f"{error}; its log:\n{(self.folder / 'weed.log').read_text()[-2000:]}"
            raise AssertionError(msg) from error
        return self

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        for port in self.ports.values():
            # Left behind by one that was killed.
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - its own
                path.unlink(missing_ok=True)

    def pause(self) -> None:
        """SIGSTOP: its sockets stay open and nothing answers."""
        assert self.process is not None
        stop(self.process.pid)

    def resume(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def _arguments(self) -> list[str]:
        listening = []
        for name in ("master", "volume", "filer", "s3"):
            listening += [f"-{name}.port={self.ports[name]}", f"-{name}.port.grpc={self.ports[f'{name}.grpc']}"]
        return [
            *("server", f"-dir={self.folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *listening),
            # Without peers to wait for it is its own leader at once: 2.4 s instead of 3.5 until the first object.
            *("-master.peers=none", "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=64"),
            *("-s3", f"-s3.config={self.folder / 'identities.json'}", "-s3.iam=false"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        ]


def identities(path: Path) -> None:
    """Write the file of who may do what."""
    every = [
        {"name": key[0], "credentials": [{"accessKey": key[0], "secretKey": key[1]}], "actions": actions}
        for key, actions in _ACTIONS.items()
    ]
    path.write_text(json.dumps({"identities": every}))


def make_bucket(endpoint: str, bucket: str, alive: object = None) -> None:
    """Wait until a `weed` answers, and let the administrator make the bucket by writing to it."""
    config = {"endpoint": endpoint, "access_key_id": ADMIN[0], "secret_access_key": ADMIN[1], "region": REGION}
    store = S3Store(bucket, config=config, client_options={"allow_http": True}, retry_config={"max_retries": 0})  # type: ignore[arg-type]
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and (not callable(alive) or alive()):
        try:
            with urllib.request.urlopen(f"{endpoint}/healthz", timeout=1):  # noqa: S310 - our own address
                obstore.put(store, "made", b"")
                obstore.delete(store, ["made"])
                return
        except (OSError, urllib.error.URLError, obstore.exceptions.BaseError):
            threading.Event().wait(0.02)
    msg = f"weed at {endpoint} took no object within {START_S} s"
    raise AssertionError(msg)


def version() -> str:
    """What the wheel's weed says it is."""
    if not PROGRAM.exists():
        return "MISSING: run ./just setup"
    said = subprocess.run([str(PROGRAM), "version"], capture_output=True, text=True, check=True).stdout
    return f"SeaweedFS {said.partition(chr(10))[0]}".strip()


def elsewhere() -> S3Elsewhere | None:
    """The service that TEST_S3_ENDPOINT names, with TEST_S3_BUCKET, TEST_S3_KEY (`id:secret`) and TEST_S3_REGION."""
    endpoint = os.environ.get("TEST_S3_ENDPOINT")
    if not endpoint:
        return None
    key, _, secret = os.environ.get("TEST_S3_KEY", ":".join(KEY)).partition(":")
    bucket, region = os.environ.get("TEST_S3_BUCKET", BUCKET), os.environ.get("TEST_S3_REGION", REGION)
    return S3Elsewhere(endpoint, f"TEST_S3_ENDPOINT={endpoint}", bucket, (key, secret), region)


def _access(endpoint: str, region: str, key: tuple[str, str], changed: dict[str, object]) -> Access:
    known: dict[str, object] = {"endpoint": endpoint, "region": region, "access_key_id": key[0], "secret_access_key": key[1]}
    return Access(**{**known, **changed})  # type: ignore[arg-type]  # tests name them right


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
