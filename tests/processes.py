"""Real processes of ours, started as `ovation up` starts them, for tests that kill, stop and drain them."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from tests.waits import PATIENCE_S, eventually

OVATION = Path(sys.executable).with_name("ovation")
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def environment(**settings: object) -> dict[str, str]:
    """This environment with *settings* (`http_port=0` is OVATION_HTTP_PORT=0) and no other OVATION_ variable."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OVATION_")}
    return kept | {f"OVATION_{name.upper()}": str(value) for name, value in settings.items()}


class Process:
    """One `ovation ...` process, dying with the test run."""

    def __init__(self, *arguments: str, log: Path, **settings: object) -> None:
        """*arguments* as on the command line; output goes to *log*, which `text` returns."""
        self.arguments = arguments
        self.settings = settings
        self.log = log
        self.popen: subprocess.Popen[bytes] | None = None
        self.states: list[dict[str, Any]] = []
        self._ready_fd = -1
        self._rest = b""

    def start(self) -> "Process":
        """Start it, or start it again."""
        self._close()
        ours, theirs = os.pipe()
        os.set_blocking(ours, False)
        self._ready_fd, self._rest, self.states = ours, b"", []
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                [str(OVATION), *self.arguments, "--ready-fd", str(theirs)],
                env=environment(**self.settings),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs,),
                preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 - one libc call
            )
        os.close(theirs)
        return self

    def start_plain(self) -> "Process":
        """Start a command that tells no states: `up` itself."""
        with self.log.open("ab") as output:
            self.popen = subprocess.Popen(
                [str(OVATION), *self.arguments],
                env=environment(**self.settings),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                preexec_fn=lambda: _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 - one libc call
            )
        return self

    async def ready(self, timeout: float = PATIENCE_S) -> "Process":
        """Wait until it says that it is ready."""

        def is_ready() -> bool:
            if self.popen is not None and self.popen.poll() is not None:
                msg = f"{self.arguments} ended with {self.popen.returncode}:\n{self.text[-3000:]}"
                raise AssertionError(msg)
            return self.state == "ready"

        await eventually(is_ready, timeout=timeout)
        return self

    @property
    def state(self) -> str:
        """The last state it told its parent."""
        try:
            while self._ready_fd >= 0 and (chunk := os.read(self._ready_fd, 65536)):
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                self.states += [json.loads(line) for line in lines if line]
        except BlockingIOError:
            pass
        return str(self.states[-1]["state"]) if self.states else "starting"

    @property
    def ops_url(self) -> str:
        """Where its internal port is."""
        return str(self.states[-1]["ops_url"])

    @property
    def text(self) -> str:
        """What it printed."""
        return self.log.read_text()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.popen is not None
        return self.popen.pid

    @property
    def alive(self) -> bool:
        """Whether it runs (a stopped one does)."""
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.popen is not None
        self.popen.send_signal(number)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        if self.popen is not None:
            self.popen.kill()
            self.popen.wait()
            self.popen = None
            self._close()

    def _close(self) -> None:
        """Close its pipe once: the number is another file's from there on."""
        if self._ready_fd >= 0:
            os.close(self._ready_fd)
            self._ready_fd = -1

    def wait(self, timeout: float = PATIENCE_S) -> int:
        """Wait for its end; the exit code."""
        assert self.popen is not None
        return self.popen.wait(timeout)


@contextmanager
def killed_after(*processes: Process) -> Iterator[None]:
    """Kill what still runs when the block ends, each whatever the one before it raised."""
    with ExitStack() as stack:
        for process in processes:
            stack.callback(process.kill)
        yield


class Client:
    """The public API, as a guest or with a token."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.http = httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=PATIENCE_S)
        if token is not None:
            self.http.headers["Authorization"] = f"Bearer {token}"

    async def guest(self, name: str = "Ada") -> "Client":
        """Become a new guest."""
        answer = await self.http.post("/session", json={"name": name})
        answer.raise_for_status()
        # The cookie authorises reads alone; tests that mean it set it themselves.
        self.http.cookies.clear()
        self.http.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        return self

    async def start(self, title: str = "A stream") -> dict[str, Any]:
        """Start a public stream."""
        answer = await self.http.post("/streams/start", json={"title": title, "privacy": "public"})
        assert answer.status_code == 201, answer.text
        started: dict[str, Any] = answer.json()
        return started

    async def post(self, stream_id: str, text: str, key: str | None = None, **fields: object) -> httpx.Response:
        """Post a comment."""
        headers = {"Idempotency-Key": key} if key else {}
        return await self.http.post(f"/streams/{stream_id}/comments", json={"text": text, **fields}, headers=headers)

    async def ticket(self, stream_id: str) -> str:
        """The query of a WebSocket or an events request in one's own name."""
        answer = await self.http.post(f"/streams/{stream_id}/ticket")
        assert answer.status_code == 200, answer.text
        return f"?ticket={answer.json()['ticket']}"

    def events(self, stream_id: str, query: str = "") -> str:
        """The address of a stream's events."""
        return f"{self.url}/api/v1/streams/{stream_id}/events{query}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
