"""The feed: the republished copy of a live log on core NATS. Fast, and allowed to lose: whoever follows it checks.

The header `Nats-Last-Sequence` is a check and never a `prev`: above the follower's own tail it proves a loss, below it
something was deleted.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from nats.aio.msg import Msg

from infra.jetstream.connection import Connection
from infra.jetstream.reader import log_time


class FeedMessage(Struct, frozen=True):
    """One republished message; `last_seq` is what the log says came before it on this subject."""

    seq: int
    last_seq: int
    at_ms: int
    payload: bytes


class Subscription:
    """A core subscription that can be ended."""

    def __init__(self, handle: Any) -> None:  # noqa: ANN401 - nats-py's own handle
        self._handle = handle

    async def end(self) -> None:
        """Unsubscribe; silently, when the connection is gone already."""
        # nats-py raises several kinds for "already gone", which is what is wanted.
        with contextlib.suppress(Exception):
            await self._handle.unsubscribe()


class Feed:
    """Core subscriptions of a gateway."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def up(self) -> bool:
        """Whether the broker is there; while it is not, nothing is told and nothing comes."""
        return self._connection.up.is_set()

    async def follow(self, subject: str, take: Callable[[FeedMessage], None]) -> Subscription:
        """Call *take* for every message republished on *subject* from now on; it must not block.

        Raises:
            Unavailable: the broker is away.
        """

        async def received(msg: Msg) -> None:
            headers = msg.headers or {}
            if "Nats-Sequence" not in headers:
                return
            take(
                FeedMessage(
                    int(headers["Nats-Sequence"]),
                    int(headers.get("Nats-Last-Sequence", 0)),
                    log_time(headers["Nats-Time-Stamp"]),
                    msg.data,
                )
            )

        return Subscription(await self._connection.subscribe(subject, received))

    async def listen(self, subject: str, take: Callable[[str, bytes], None]) -> Subscription:
        """Call *take* with subject and payload of every core message on *subject*: pulse and presence.

        Raises:
            Unavailable: the broker is away.
        """

        async def received(msg: Msg) -> None:
            take(msg.subject, msg.data)

        return Subscription(await self._connection.subscribe(subject, received))

    async def tell(self, subject: str, payload: bytes) -> None:
        """Publish an ephemeral number; nothing happens while the broker is away."""
        await self._connection.publish(subject, payload)
