"""A WebSocket viewer for tests: the `websockets` client, and the same proof of the chain as `tests.viewer`."""

import asyncio
import contextlib
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.listener import OPEN, Listener

#: For posts that bring no key: like none that a test chose for the same person.
_keys = itertools.count()


@dataclass(eq=False)
class SocketViewer(Listener):
    """Connects, joins one stream, resumes; keeps every item once, and everything that broke the contract."""

    #: `http://host:port`
    url: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    stream_id: str = ""
    last_seen: int | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    ws: ClientConnection | None = None

    async def open(self) -> "SocketViewer":
        """Connect; what comes is read in the background."""
        where = f"ws{self.url.removeprefix('http')}/ws{self.query}"
        self.ws = await connect(where, additional_headers=self.headers, ping_interval=None, max_size=None)
        self.connections += 1
        OPEN.add(self)
        self._task = asyncio.create_task(self._read(self.ws))
        return self

    async def join(self, stream_id: str, last_seen: int | None = None) -> "SocketViewer":
        """Join a stream, without a position if there is none; the first delivery has come when this returns."""
        if (stream_id, last_seen) != (self.stream_id, self.last_seen):
            # Another beginning, so another chain.
            self.items.clear()
        self.stream_id, self._prev = stream_id, last_seen
        seen = len(self.messages)
        resume = {} if last_seen is None else {"last_seen_seq": last_seen}
        await self.send(type="join_stream", stream_id=stream_id, **resume)
        if last_seen is None:
            await self.until(lambda v: v.over or any(m["type"] in ("comments_batch", "error") for m in v.messages[seen:]))
        return self

    async def again(self) -> "SocketViewer":
        """Connect anew and go on from the position seen last."""
        await self.open()
        return await self.join(self.stream_id, self.last_seen)

    async def send(self, **message: object) -> None:
        """Send one message."""
        await self.send_raw(json.dumps(message))

    async def send_raw(self, message: "str | bytes | list[str]") -> None:
        """Send anything: text, a binary message, or a text in fragments."""
        assert self.ws is not None
        await self.ws.send(message)

    async def post(self, content: str, key: str | None = None, **fields: object) -> dict[str, Any]:
        """Post a comment and wait for its ack."""
        key = key if key is not None else f"socketviewer-{next(_keys)}"
        seen = len(self.messages)
        await self.send(
            **{"type": "post_comment", "stream_id": self.stream_id, "content": content, "idempotency_key": key} | fields
        )
        return await self.ack(key, seen)

    async def ack(self, key: str, since: int = 0) -> dict[str, Any]:
        """Wait for the ack of *key* among the messages from number *since* on."""
        await self.until(lambda v: v.acks(key, since))
        found: dict[str, Any] = self.acks(key, since)[0]
        return found

    def acks(self, key: str, since: int = 0) -> list[dict[str, Any]]:
        """Acks of *key* so far."""
        return [m for m in self.messages[since:] if m["type"] == "ack" and m["idempotency_key"] == key]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All messages of one type."""
        return [message for message in self.messages if message["type"] == kind]

    @property
    def close_code(self) -> int | None:
        """Why the server closed."""
        return self.ws.close_code if self.ws is not None else None

    async def cut(self) -> None:
        """Lose the network: no goodbye."""
        OPEN.discard(self)
        if self.ws is not None:
            self.ws.transport.abort()
            await self.ws.wait_closed()
        if self._task is not None:
            await self._task

    @property
    def transport(self) -> asyncio.Transport:
        """The socket's, while there is a connection."""
        assert self.ws is not None
        return self.ws.transport

    def told(self) -> str:
        """What was received last, for people."""
        return f"{[str(message)[:200] for message in self.messages[-5:]]}, closed {self.close_code}"

    async def _read(self, ws: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in ws:
                message = json.loads(text)
                self.messages.append(message)
                self._take(message)
                self._moved.set()
        self._moved.set()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] in ("comments_batch", "gap") and message["stream_id"] != self.stream_id:
            # On its way when another stream was joined.
            return
        if message["type"] == "gap":
            self.gaps.append(message)
            self._prev = message["to"]
        elif message["type"] == "comments_batch":
            self._follow(message["prev"], message["to"], message["comments"])
            self.last_seen = message["to"]
