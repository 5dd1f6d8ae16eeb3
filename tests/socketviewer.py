"""A WebSocket viewer for tests: the `websockets` client, and the same proof of the chain as `tests.viewer`."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.viewer import OPEN

_keys = itertools.count()


@dataclass(eq=False)
class SocketViewer:
    """Connects, joins one stream, resumes; keeps every item once, and everything that broke the contract."""

    #: `http://host:port`
    url: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    stream_id: str = ""
    last_seen: int | None = None
    items: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    ws: ClientConnection | None = None
    _prev: int | None = None
    _task: asyncio.Task[None] | None = None
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

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
        key = key if key is not None else f"k{next(_keys)}"
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
    def over(self) -> bool:
        """Whether the connection has ended."""
        return self._task is None or self._task.done()

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

    async def ended(self, timeout_s: float = 10.0) -> None:
        """Wait until the server ended the connection."""
        assert self._task is not None
        await asyncio.wait_for(asyncio.shield(self._task), timeout_s)
        await self.cut()

    def pause(self) -> None:
        """Stop reading from the socket, as a stalled client does."""
        assert self.ws is not None
        self.ws.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        assert self.ws is not None
        self.ws.transport.resume_reading()

    async def until(self, done: "Callable[[SocketViewer], object]", timeout_s: float = 10.0) -> None:
        """Wait until `done(self)` is true, looking after each message.

        Raises:
            AssertionError: not within *timeout_s*; says what was received.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not done(self):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            last = [str(message)[:200] for message in self.messages[-5:]]
            msg = f"not in {timeout_s} s: {len(self.items)} items, {last}, closed {self.close_code}, {self.faults}"
            raise AssertionError(msg) from None

    @property
    def texts(self) -> list[str]:
        """The texts of the comments received, in the order of arrival."""
        return [item["text"] for item in self.items if item["type"] == "comment"]

    @property
    def seqs(self) -> list[int]:
        """The seqs of the items received, in the order of arrival."""
        return [item["seq"] for item in self.items]

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
            self._take_comments(message)

    def _take_comments(self, batch: dict[str, Any]) -> None:
        prev, to = batch["prev"], batch["to"]
        if self._prev is not None:
            self._check(prev == self._prev, f"prev {prev} after {self._prev}")
        seqs = [item["seq"] for item in batch["comments"]]
        self._check(seqs == sorted(set(seqs)), f"items out of order: {seqs}")
        self._check(all(prev < seq <= to for seq in seqs), f"items outside {prev}-{to}")
        if self.items and seqs:
            self._check(seqs[0] > self.items[-1]["seq"], f"{seqs[0]} after {self.items[-1]['seq']}")
        self.items += batch["comments"]
        self._prev = self.last_seen = to

    def _check(self, holds: bool, fault: str) -> None:  # noqa: FBT001 - the condition itself
        if not holds:
            self.faults.append(fault)
