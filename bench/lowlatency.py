"""Low-latency viewers, as load: each reloads its playlist blocked for the next part, and fetches each part as it is listed.

    python -m bench.lowlatency --port 8080 --path /hls/STREAM/source/ --viewers 450 --seconds 20

Two connections per viewer, as players have. Prints one JSON object. A viewer is behind when a part took longer than the next
one took to be listed.
"""

import argparse
import asyncio
import json
import re
import time
from collections.abc import Callable

import uvloop

from bench.cpu import raise_file_limit

_SEQUENCE = re.compile(rb"#EXT-X-MEDIA-SEQUENCE:(\d+)")
_URI = re.compile(rb'URI="([^"]+)"')


class Line(asyncio.Protocol):
    """One kept connection; `got` is given status and body of each answer, a part's body as its length alone."""

    def __init__(self, got: Callable[[int, bytes], None], lost: Callable[[], None], *, keeps: bool) -> None:
        self._got = got
        self._lost = lost
        self._keeps = keeps
        self._head = b""
        self._left = 0
        self._status = 0
        self._body: list[bytes] = []
        self.length = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # every transport here is one
        """Connected."""
        self.transport = transport

    def ask(self, path: bytes) -> None:
        """Ask for the next."""
        self.transport.write(b"GET %b HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: identity\r\n\r\n" % path)

    def data_received(self, data: bytes) -> None:
        """Part of an answer."""
        if not self._left:
            head, end, data = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                self._head = head
                return
            self._head = b""
            self._status = int(head[9:12])
            at = head.index(b"content-length: ") + 16
            self._left = self.length = int(head[at : head.find(b"\r\n", at) if b"\r\n" in head[at:] else None])
        self._left -= len(data)
        if self._keeps:
            self._body.append(data)
        if not self._left:
            body, self._body = b"".join(self._body), []
            self._got(self._status, body)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """Gone."""
        self._lost()


class Crowd:
    """All viewers of one rendition, and what they have seen."""

    def __init__(self, port: int, path: str) -> None:
        self.port = port
        self.path = path.encode()
        self.playlists = self.parts = self.bytes = self.errors = self.behind = 0
        self.measuring = False
        self.part_ms: list[float] = []
        self._read: dict[bytes, tuple[int, int, bytes]] = {}

    def read(self, body: bytes) -> tuple[int, int, bytes]:
        """(msn, part) of what comes next, and the newest part: read once, since all are sent the same."""
        found = self._read.get(body)
        if found is None:
            msn = int(_SEQUENCE.search(body)[1]) + body.count(b"#EXTINF:")  # type: ignore[index]  # every playlist has one
            listed = body.count(b"#EXT-X-PART:", max(0, body.rfind(b"#EXTINF:")))
            newest = _URI.search(body, max(0, body.rfind(b"#EXT-X-PART:")))
            found = msn, listed, newest[1] if newest else b""
            if len(self._read) > 64:
                self._read.clear()
            self._read[body] = found
        return found


class Viewer:
    """One viewer."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._asked = 0.0
        self._busy = False
        self._part = b""

    async def start(self) -> None:
        """Connect and ask for the playlist."""
        loop, crowd = asyncio.get_running_loop(), self._crowd
        address = ("127.0.0.1", crowd.port)
        _, self._playlists = await loop.create_connection(lambda: Line(self._listed, self._lost, keeps=True), *address)
        _, self._pieces = await loop.create_connection(lambda: Line(self._fetched, self._lost, keeps=False), *address)
        self._playlists.ask(crowd.path + b"index.m3u8")

    def _listed(self, status: int, body: bytes) -> None:
        crowd = self._crowd
        crowd.playlists += crowd.measuring
        if status != 200:
            crowd.errors += crowd.measuring
            asyncio.get_running_loop().call_later(0.2, self._playlists.ask, crowd.path + b"index.m3u8")
            return
        msn, part, newest = crowd.read(body)
        if newest != self._part:
            if self._busy:
                crowd.behind += crowd.measuring
            else:
                self._part, self._busy, self._asked = newest, True, time.perf_counter()
                self._pieces.ask(crowd.path + newest)
        self._playlists.ask(b"%bindex.m3u8?_HLS_msn=%d&_HLS_part=%d" % (crowd.path, msn, part))

    def _fetched(self, status: int, _body: bytes) -> None:
        crowd = self._crowd
        self._busy = False
        if crowd.measuring:
            crowd.parts += 1
            crowd.bytes += self._pieces.length
            crowd.errors += status != 200
            crowd.part_ms.append((time.perf_counter() - self._asked) * 1000)

    def _lost(self) -> None:
        self._crowd.errors += self._crowd.measuring


async def run(port: int, path: str, viewers: int, seconds: float, warm_s: float = 4.0) -> dict[str, float]:
    """Watch for *seconds* after everybody has come."""
    crowd = Crowd(port, path)
    everybody = [Viewer(crowd) for _ in range(viewers)]
    for viewer in everybody:
        await viewer.start()
    await asyncio.sleep(warm_s)
    print("measuring", flush=True)
    crowd.measuring = True
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    crowd.measuring = False
    took = time.perf_counter() - began
    times = sorted(crowd.part_ms) or [0.0]
    return {
        "requests_s": (crowd.playlists + crowd.parts) / took,
        "parts_s": crowd.parts / took,
        "mbit_s": crowd.bytes * 8 / took / 1e6,
        "errors": crowd.errors,
        "behind": crowd.behind,
        "part_p50_ms": times[len(times) // 2],
        "part_p99_ms": times[len(times) * 99 // 100],
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True, help="of a rendition, with a slash at its end")
    parser.add_argument("--viewers", type=int, default=450)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    raise_file_limit()
    print(json.dumps(uvloop.run(run(options.port, options.path, options.viewers, options.seconds))), flush=True)


if __name__ == "__main__":
    main()
