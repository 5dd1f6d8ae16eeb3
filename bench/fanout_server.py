"""The gateway's fan-out without a broker: real protocol, admission, hub and audience, fed from a socket.

What one socket write costs is measured against a C loop that has no broker either. All stand-ins are in this file: they
keep the log in memory and hand lines of the feed's socket to whoever follows the stream, as NATS would.

    python -m bench.fanout_server      prints {"port":..,"feed_port":..,"stream_id":..}; settings are OVATION_*
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import uvloop

from gateway.access import Access
from gateway.auth import Authenticator
from gateway.edge.protocol import Edge
from gateway.edge.server import serve
from gateway.fanout.admission import Admission
from gateway.fanout.doorway import doorway_with
from gateway.fanout.hub import Hub
from gateway.fanout.protocol import protocol_with
from gateway.granted import Granted
from gateway.removals import Removals
from infra.clock import SystemClock
from infra.environment import load
from infra.jetstream.reader import LogMessage, LogState
from infra.lifecycle import Lifecycle
from infra.telemetry import logs
from schemas.records import Broadcaster, StreamRecord
from schemas.streamid import new_stream_id
from schemas.subjects import feed, live
from schemas.times import rfc3339

BACKLOG = 4096


@dataclass
class Log:
    """Stands in for the broker: Connection, Reader, History, Counters and StreamDirectory of one stream."""

    record: StreamRecord
    clock: SystemClock
    messages: list[LogMessage] = field(default_factory=list)
    followers: list[Callable[[Any], Awaitable[None]]] = field(default_factory=list)
    up: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(self, payload: bytes) -> None:
        """Take a comment and tell the followers, as the log's republished copy does."""
        seq, at_ms = len(self.messages) + 1, self.clock.now_ms()
        self.messages.append(LogMessage(live(0, self.record.stream_id), seq, at_ms, payload, {}))
        headers = {"Nats-Sequence": str(seq), "Nats-Last-Sequence": str(seq - 1), "Nats-Time-Stamp": rfc3339(at_ms)}
        for follower in self.followers:
            await follower(SimpleNamespace(subject=feed(0, self.record.stream_id), data=payload, headers=headers))

    # Connection
    async def subscribe(self, subject: str, received: Callable[[Any], Awaitable[None]]) -> object:
        """Remember who follows the stream; nobody tells pulses or presence here."""
        if subject.startswith("feed."):
            self.followers.append(received)
        return None

    async def publish(self, subject: str, payload: bytes) -> None:
        """Presence, which no other gateway hears."""

    def on_up(self, hook: Callable[[], Awaitable[None]]) -> None:
        """It is never down."""

    # Reader
    async def last(self, _log: str, _subject: str) -> LogMessage | None:
        """The newest message."""
        return self.messages[-1] if self.messages else None

    async def tails_after(self, _log: str, wanted: list[str], after: int) -> tuple[dict[str, int], int]:
        """The newest seq by subject, and how far that has seen."""
        tail = len(self.messages)
        return (dict.fromkeys(wanted, tail) if tail > after else {}), tail

    # History, and Reader with other arguments
    async def range(self, *arguments: Any) -> Any:  # noqa: ANN401 - two classes have a method of this name
        """Nothing is ever lost on this feed and no viewer is older than the ring."""
        msg = f"a viewer was not served from the ring: {arguments[2:]}"
        raise AssertionError(msg)

    async def tail(self, _record: StreamRecord) -> int:
        """Nothing is in the store."""
        return 0

    async def removals(self, _record: StreamRecord) -> Removals:
        """Nothing is removed."""
        return Removals()

    async def newest(self, _record: StreamRecord, until: int, _limit: int, _removals: Removals) -> tuple[list[Any], int]:
        """No backfill."""
        return [], until

    async def state(self, _record: StreamRecord) -> LogState:
        """The log's ends."""
        return LogState(1, 1, len(self.messages))

    # Counters
    async def parts(self, _shard: int, _stream_id: str) -> dict[str, dict[int, int]]:
        """No reactions."""
        return {}

    async def add(self, *_: object) -> None:
        """Arrivals."""

    # StreamDirectory
    def known(self, _stream_id: str) -> StreamRecord:
        """The one stream there is."""
        return self.record

    async def get(self, _stream_id: str) -> StreamRecord:
        """The one stream there is."""
        return self.record


async def _feed(log: Log, listening: socket.socket) -> None:
    async def connected(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            await log.append(line.rstrip())

    await asyncio.start_server(connected, sock=listening)


def _listening() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(BACKLOG)
    return made


async def main() -> None:
    """Serve until killed."""
    settings, clock = load(), SystemClock()
    now = clock.now_ms()
    record = StreamRecord(
        stream_id=new_stream_id(now),
        broadcaster=Broadcaster(id="bench", name="Bench"),
        title="Bench",
        key_sha256="",
        created_at=now,
    )
    log: Any = Log(record, clock)
    hub = Hub(settings, clock, log, log, log, log, "bench")
    await hub.start()
    public, comments = _listening(), _listening()
    await _feed(log, comments)
    print(
        json.dumps({"port": public.getsockname()[1], "feed_port": comments.getsockname()[1], "stream_id": record.stream_id}),
        flush=True,
    )
    admission, edge = Admission(hub, log, Authenticator(settings, clock), Access(Granted(log), Granted(log))), Edge(settings)
    door = doorway_with(admission, protocol_with(admission, edge))
    await serve(_nothing, door, edge, public, Lifecycle("fanout", settings), hub.drain, shared=False)


async def _nothing(scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    del scope
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    logs.configure(level="warning", form="json", process="fanout")
    uvloop.run(main())
